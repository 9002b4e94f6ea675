#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=normal users=root,user timeout=400
# Installers in a session: an ordinary script that behaves as root may; what it did is in the package, runs, and
# has not happened on the host. Failing, interrupted and killed installers leave nothing.
. "$(dirname "$0")/setup.sh"

mkdir "$scratch/work"
cd "$scratch/work" || exit 1
cat >static.c <<'C'
#include <stdio.h>
int main(void) { puts("static says hello"); return 7; }
C
gcc -static -o hello static.c 2>"$scratch/gcc" || cp /bin/true hello
cat >install.sh <<'SH'
#!/bin/sh
set -e
[ "$(id -u)" = 0 ]
[ "$HOME" = /root ]
install -D -o 12 -g 34 -m 4755 hello /opt/vendor/bin/hello
install -d /usr/share/applications /usr/local/bin /etc/vendor /lib/systemd/system /var/log /var/cache/vendor
ln -s /opt/vendor/bin/hello /usr/local/bin/vendor
echo "vendor:x:998:998::/nonexistent:/bin/false" >>/etc/passwd
chown root:vendor /etc/vendor 2>/dev/null || chown 0:998 /etc/vendor
printf '[Desktop Entry]\nType=Application\nName=V\nExec=vendor %%F\n' >/usr/share/applications/vendor.desktop
printf '[Unit]\n' >/lib/systemd/system/vendor.service
printf '[main]\nkey=value\n' >/etc/vendor/vendor.conf
echo secret >/etc/vendor/closed; chmod 000 /etc/vendor/closed
mkdir /etc/vendor/shut; echo x >/etc/vendor/shut/x; chmod 000 /etc/vendor/shut
mknod /opt/vendor/fifo p
ln /opt/vendor/bin/hello /opt/vendor/bin/hello2
echo log >/var/log/vendor.log; echo cache >/var/cache/vendor/c; echo t >/tmp/vendor.tmp; echo pid >/run/vendor.pid
rm -rf /usr/share/doc-base /usr/share/menu /usr/share/pixmaps/debian-logo.png
rm -f /etc/issue
rm -rf /usr/share/misc && mkdir /usr/share/misc && echo mine >/usr/share/misc/mine
echo "# more" >>/etc/profile
touch -d 2001-02-03 /opt/vendor/bin/hello
(sleep 1000 >/dev/null 2>&1 </dev/null &)
! invoke=$(command -v policy-rc.d) || { ! "$invoke"; }
[ ! -e /run/systemd/private ] && [ ! -e /run/dbus/system_bus_socket ]
SH
# What the script writes, not what else may happen on a machine meanwhile.
watched=(/etc/profile /etc/issue /etc/vendor /usr/local/bin/vendor /usr/share/misc /usr/share/applications /opt/vendor /opt/x /opt/t /root/.profile /var/log/vendor.log /var/cache/vendor /lib/systemd)
manifest "${watched[@]}" >"$scratch/host"

sequence_it() { # ENGINE
	expect 0 -- "$floe" sequence --engine "$1" -o "$scratch/v.floe" --name vendor --report "$scratch/v.json" --launch vendor \
		--config /etc/vendor/vendor.conf -- sh ./install.sh
	same_as_before "$scratch/host" "${watched[@]}"
	! pgrep -u "$(id -u)" -f '^sleep 1000$' >/dev/null || fail "the installer's background process lives on"
	python3 - "$scratch/v.json" <<-'PY' || { cat "$scratch/v.json"; fail "the report"; }
		import json, os, sys
		r = json.load(open(sys.argv[1]))
		m = r["manifest"]
		assert m["default_command"] == "vendor", m
		assert {c["name"] for c in m["commands"]} >= {"vendor", "hello", "hello2"}, m
		assert m["desktop_files"] == ["/usr/share/applications/vendor.desktop"], m
		assert m["config_files"] == [{"path": "/etc/vendor/vendor.conf", "lens": "ini"}], m
		left = {p for rule in r["left_out"] for p in rule["paths"]}
		assert {"/var/log/vendor.log", "/var/cache/vendor/c", "/tmp/vendor.tmp", "/etc/passwd"} <= left, left
		notes = "\n".join(r["not_virtualised"])
		for word in ('user "vendor"', "vendor.service", "/opt/vendor/bin/hello runs without its set-user-id"):
		    assert word in notes, (word, notes)
		assert "policy-rc.d" not in json.dumps(r)
		if os.path.exists("/etc/issue"):
		    assert r["taken"]["deleted"] >= 1, r["taken"]
	PY
}
for engine in fuse auto; do
	note "sequencing, engine $engine"
	sequence_it "$engine"
done

note "running"
status=0
"$floe" run --ephemeral "$scratch/v.floe" >"$out" 2>"$err" || status=$?
if grep -q . "$scratch/gcc"; then note "no static libc here"; else
	[ "$status" = 7 ] && grep -q 'static says hello' "$out" || { cat "$out" "$err"; fail "the static program: $status"; }
fi
probe() { "$floe" run --ephemeral --command box "$scratch/p.floe" -- sh -c "$1"; }
expect 0 -- "$floe" sequence -q -o "$scratch/p.floe" --command box=/usr/bin/box -- sh -c \
	"sh ./install.sh && printf '#!/bin/sh\nexec \"\$@\"\n' >/usr/bin/box && chmod 755 /usr/bin/box"
expect 0 -- probe 'test -p /opt/vendor/fifo && test "$(stat -c %h /opt/vendor/bin/hello)" = 2'
expect 0 -- probe 'test ! -e /etc/issue'
expect 0 -- probe 'test "$(ls /usr/share/misc)" = mine'
expect 0 -- probe 'test "$(stat -c %Y /opt/vendor/bin/hello)" = "$(date -d 2001-02-03 +%s)"'
expect 0 -- probe 'tail -n 1 /etc/profile | grep -q "# more"'
expect 0 -- probe 'test ! -e /var/log/vendor.log && test ! -e /usr/sbin/policy-rc.d || grep -qv "exit 101" /usr/sbin/policy-rc.d'

note "installers that fail"
expect 3 'failed with status 3: no package made' -- "$floe" sequence -o "$scratch/f.floe" -- sh -c 'touch /opt/x; exit 3'
expect 143 'died of signal 15' -- "$floe" sequence -o "$scratch/f.floe" -- sh -c 'kill -TERM $$'
expect 127 'no such command' -- "$floe" sequence -o "$scratch/f.floe" -- no-such-installer
expect 125 'left nothing to package' -- "$floe" sequence -o "$scratch/f.floe" -- true
[ ! -e "$scratch/f.floe" ] || fail "a failed installer left a package"
expect 0 -- "$floe" sequence -q -o "$scratch/f.floe" --keep-going -- sh -c 'echo x >/opt/x; exit 3'
[ -s "$scratch/f.floe" ] || fail "--keep-going made no package"

note "interrupted at any moment"
sessions=$home/.cache/floe/sequence
interrupt_after() { # SECONDS ENGINE
	local delay=$1 engine=$2

	"$floe" sequence -q --engine "$engine" -o "$scratch/i.floe" --launch 'sleep 20' -- sh -c 'cp /bin/true /opt/t; sleep 0.2; cp /bin/true /opt/u' \
		>/dev/null 2>&1 &
	pid=$!
	sleep "$delay"
	kill -TERM "$pid"
	status=0
	wait "$pid" || status=$?
	[ "$status" != 0 ] || fail "interrupted after $delay s, and ended with success"
	[ ! -e "$scratch/i.floe" ] || fail "interrupted after $delay s, and left a package"
	[ -z "$(ls -A "$sessions" 2>/dev/null)" ] || { ls -A "$sessions"; fail "interrupted after $delay s: leftovers"; }
}
for delay in 0.02 0.1 0.3 0.6; do
	interrupt_after "$delay" auto
	interrupt_after "$delay" fuse
done

gone() { ! pgrep -u "$(id -u)" -f '^sleep 987$' >/dev/null; }
same_servers() { [ "$(floe_pids floe-union-server)" = "$servers" ]; } # the holder may have one, too
kill_it() { # ENGINE
	servers=$(floe_pids floe-union-server)
	setsid "$floe" sequence -q --engine "$1" -o "$scratch/k.floe" -- sh -c 'echo x >/opt/x; exec sleep 987' >/dev/null 2>&1 &
	pid=$!
	until_true 20 pgrep -u "$(id -u)" -f '^sleep 987$' >/dev/null || fail "the installer does not start"
	kill -KILL "$pid"
	until_true 10 gone || fail "the installer outlives floe"
	until_true 10 same_servers || fail "a server stays"
	[ -n "$(ls -A "$sessions")" ] || fail "nothing left to clean: this test tests nothing"
	expect 0 -- "$floe" sequence -q -o "$scratch/k.floe" -- sh -c 'echo x >/opt/x'
	[ -z "$(ls -A "$sessions")" ] || { ls -A "$sessions"; fail "a dead run's directory stayed"; }
	! grep -q "$sessions" /proc/self/mountinfo || fail "mounts stayed"
}
for engine in auto fuse; do
	note "killed, engine $engine: the next run cleans up"
	kill_it "$engine"
done

note "--keep shows what the installer wrote"
expect 0 -- "$floe" sequence -q -o "$scratch/k.floe" --keep "$scratch/kept" -- sh -c 'echo x >/opt/x'
[ "$(cat "$scratch/kept/upper/opt/x")" = x ] || fail "--keep"
same_as_before "$scratch/host" "${watched[@]}"
