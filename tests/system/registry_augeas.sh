#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=normal users=root,user timeout=240
# Files that only a lens of Augeas understands, by key: nginx's configuration, changed through the file and by
# `floe registry`, and nginx goes by it; /etc/hosts, which libc itself reads. What a lens cannot say is refused
# with its reason. libaugeas is in one program of floe's and in no other.
. "$(dirname "$0")/settings/setup.sh"

note "who links libaugeas"
for file in "$FLOE_BUILD"/bin/floe "$FLOE_BUILD"/libexec/floe/* "$FLOE_BUILD"/lib/floe/libfloe-shim.so; do
	readelf -d "$file" | grep -q 'NEEDED.*libaugeas' && linked="${linked:-}${file##*/} "
done
prints 'floe-augeas ' printf %s "${linked:-}"

pack nginx @config/web/nginx.conf:augeas:Nginx /etc/hosts:augeas:Hosts || fail "nginx is not installed"
conf=config/web/nginx.conf
port=$(free_port) other=$(free_port)

note "nginx: a file written and edited in the environment is keys"
mkdir -p "$home/site"
write_conf() {
	run_in nginx sh -c 'mkdir -p .config/web && cat >.config/web/nginx.conf' <<-CONF
		# one site
		daemon off;   # stays here
		worker_processes 1;
		pid $home/site/pid;
		error_log stderr;

		events {
		    worker_connections   64;
		}
		http {
		    access_log off;
		    client_body_temp_path $home/site/body;
		    proxy_temp_path $home/site/proxy;
		    fastcgi_temp_path $home/site/fastcgi;
		    uwsgi_temp_path $home/site/uwsgi;
		    scgi_temp_path $home/site/scgi;
		    server {
		        listen  127.0.0.1:$port;
		        location / {
		            return 200 served;
		        }
		    }
		}
	CONF
}
write_conf || fail "writing the configuration"
prints "127.0.0.1:$port" reg nginx get $conf:http/server/listen
prints 64 reg nginx get $conf:events/worker_connections
prints '' run_in nginx sed -i 's/worker_connections   64/worker_connections   128/' .config/web/nginx.conf
prints 128 reg nginx get $conf:events/worker_connections

note "a key set is one line changed, and nginx listens where it says"
run_in nginx cat .config/web/nginx.conf >"$scratch/before" || fail "reading the configuration"
prints '' reg nginx set $conf:http/server/listen "127.0.0.1:$other"
run_in nginx cat .config/web/nginx.conf >"$scratch/after" || fail "reading the configuration"
diff "$scratch/before" "$scratch/after" >"$scratch/difference"
prints "1 1" echo "$(grep -c '^<' "$scratch/difference")" "$(grep -c '^>' "$scratch/difference")"
grep -qx "        listen  127.0.0.1:$other;" "$scratch/after" || fail "$(cat "$scratch/after")"
run_in nginx nginx -e stderr -p "$home/site" -c "$home/.config/web/nginx.conf" >"$scratch/nginx.log" 2>&1 &
server=$!
at_end+=("kill $server 2>/dev/null")
until_true 30 curl -sf -o "$scratch/page" "http://127.0.0.1:$other/" || fail "nginx does not answer: $(cat "$scratch/nginx.log")"
prints served cat "$scratch/page"
curl -s -m 2 -o /dev/null "http://127.0.0.1:$port/" && fail "nginx still listens where it was told not to"
kill "$server" 2>/dev/null
wait "$server" 2>/dev/null

note "a key added, one taken away"
prints '' reg nginx set $conf:http/server/server_name www.example.org
run_in nginx cat .config/web/nginx.conf >"$scratch/added"
grep -q '^ *server_name www.example.org;$' "$scratch/added" || fail "$(cat "$scratch/added")"
prints '' reg nginx unset $conf:http/server/server_name
run_in nginx cat .config/web/nginx.conf >"$scratch/again"
prints '' diff "$scratch/after" "$scratch/again"

note "what the lens cannot say is refused, with its reason, and nothing is changed"
expect 125 "$conf:worker_processes cannot be set so: .*Augeas' lens Nginx" -- \
	reg nginx set $conf:events/worker_connections 256 $conf:worker_processes 'a;b'
prints 128 reg nginx get $conf:events/worker_connections
prints 1 reg nginx get $conf:worker_processes

note "what it does not understand is kept as a whole, and listed so"
prints '' run_in nginx sh -c 'echo "}" >>.config/web/nginx.conf'
reg nginx list >"$scratch/list" || fail "listing"
grep -q "^$conf  *(not of the kind augeas:Nginx: line [0-9]*: Augeas' lens Nginx: .*: kept as a whole)" "$scratch/list" || fail "$(cat "$scratch/list")"
run_in nginx cat .config/web/nginx.conf | tail -n 1 | grep -qx '}' || fail "the file is not as it was written"
write_conf || fail "writing the configuration again"
prints 64 reg nginx get $conf:events/worker_connections

note "/etc/hosts: an entry of several keys, and libc finds it"
run_in nginx getent hosts floe-one.example >/dev/null && fail "it is there already"
last=$(reg nginx list --keys /etc/hosts | sed -n 's,^/etc/hosts:\([0-9]*\)/ipaddr$,\1,p' | sort -n | tail -n 1)
next=$((${last:-0} + 1))
if [ "$next" -gt 1 ]; then # Augeas learns from what is there how an entry goes
	prints '' reg nginx set "/etc/hosts:$next/canonical" floe-one.example "/etc/hosts:$next/ipaddr" 192.0.2.7 "/etc/hosts:$next/alias" one
	run_in nginx getent hosts floe-one.example >"$scratch/getent" || fail "getent: $(run_in nginx cat /etc/hosts)"
	grep -qE '^192\.0\.2\.7 +floe-one\.example one$' "$scratch/getent" || fail "$(cat "$scratch/getent")"
	expect 125 'cannot be set so' -- reg nginx set "/etc/hosts:$((next + 5))/ipaddr" 192.0.2.9
	expect 125 'cannot be set so' -- reg nginx unset "/etc/hosts:1/canonical"
	prints '' reg nginx unset "/etc/hosts:$next/alias" "/etc/hosts:$next/ipaddr" "/etc/hosts:$next/canonical"
	run_in nginx getent hosts floe-one.example >/dev/null && fail "it is still there"
fi
if [ -e "$home/.config/web" ] || grep -q floe-one /etc/hosts; then fail "the host was changed"; fi
