#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=normal users=root,user timeout=300
# Many readers over HTTP/2: they share a connection; one who does not take his bytes neither holds up the others nor
# fills the memory; connections that are killed, that the server gives notice of, and streams that it drops, cost no
# byte and no reader.
. "$(dirname "$0")/setup.sh"

mkdir "$scratch/www"
head -c 100M /dev/urandom >"$scratch/www/file"
make_certificate
tls_port=$(free_port)
far_port=$(free_port)
trust() { # PORT
	mkdir -p "$home/.config/floe"
	printf '[https://localhost:%s]\nca = %s\n' "$1" "$scratch/cert.pem" >>"$home/.config/floe/origins.conf"
}
trust "$tls_port"
tls="listen 127.0.0.1:$tls_port ssl http2; ssl_certificate $scratch/cert.pem; ssl_certificate_key $scratch/key.pem"

have_gone() { # PID...
	! kill -0 "$@" 2>/dev/null
}
serve_tls() { # NGINX SERVER LINES
	stop_serving
	rm -f "$scratch/nginx/nginx.pid" "$scratch/nginx/access.log"
	serve_dir "$scratch/www" "$tls; $1"
	workers=$(pgrep -P "$nginx_pid")
	sed -i "s/log_format ranges '/&\$connection /" "$scratch/nginx/nginx.conf"
	kill -HUP "$nginx_pid"
	until_true 10 have_gone $workers || fail "the old nginx goes on"
	tls_log=$access_log
}
# fetch PORT OPTION...: all readers get the right bytes.
fetch() {
	local to=$1

	shift
	timeout -s KILL 100 "$FLOE_BUILD/tests/net/floe-test-fetch" "$@" "https://localhost:$to/${object:-file}" "$scratch/www/file" \
		>"$out" 2>"$err" || { cat "$err"; fail "status $?: $*"; }
}
connections() { # PROTOCOL
	sleep 0.2
	awk -v p="$1" '$NF == p { print $1 }' "$tls_log" | sort -u | wc -l
}

note "readers share a connection"
serve_tls ''
fetch "$tls_port" --readers 6 --reads 20
[ "$(connections HTTP/2.0)" = 1 ] || fail "$(connections HTTP/2.0) connections for readers who could share one"
[ "$(connections HTTP/1.1)" = 0 ] || fail "short reads not over HTTP/2"

note "a server without HTTP/2"
tls=${tls/ http2/} serve_tls ''
fetch "$tls_port" --readers 6 --reads 20 --slow 4000000
[ "$(connections HTTP/1.1)" -le 9 ] || fail "$(connections HTTP/1.1) connections for 7 readers"

note "slow readers, of all lengths"
serve_tls ''
fetch "$tls_port" --readers 4 --reads 20 --slow 104857600 --slow 50000000 --slow 4000000 --slow 1048576 --slow 900000
grown=$(cat "$out")
[ "$grown" -lt 16384 ] || fail "$grown KiB for what the slow readers do not take"

note "the server gives notice of its connections (GOAWAY)"
serve_tls 'keepalive_requests 7;'
fetch "$tls_port" --readers 8 --reads 30
[ "$(connections HTTP/2.0)" -gt 20 ] || fail "the server gave no notice"
(for _ in 1 2 3 4 5 6; do sleep 0.3; kill -HUP "$nginx_pid"; done) &
fetch "$tls_port" --readers 8 --reads 100 --slow 20000000
wait $!

note "connections killed in the middle of several streams"
serve_tls ''
link_to "$tls_port" --rtt 10
trust "$link_port"
for at in 0 20000 300000 1500000; do
	link_ask zero
	link_ask fault drop "$at" 3
	fetch "$link_port" --readers 8 --reads 10 --len 200000
	link_ask stats | grep -qE 'drop[ :=]*[1-9]' || { link_ask stats; fail "no connection was killed at $at"; }
	link_ask mend
done

note "streams that the server drops"
serve_tls "location = /dropped { proxy_pass http://127.0.0.1:$far_port/file; proxy_buffering off; }"
link_to "$port" --listen "$far_port"
for at in 0 100000; do
	for kind in truncate drop; do
		link_ask fault "$kind" "$at" 3
		object=dropped fetch "$tls_port" --readers 8 --reads 10 --len 200000
		link_ask mend
	done
done
grep -q 'prematurely closed\|reset by peer' "$scratch/nginx/error.log" || fail "no stream was dropped"
