#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=normal users=root,user timeout=280
# Broken packages, unknown keys, bad servers and bare machines: each has its exit status and a text that says
# what is wrong, and none leaves anything behind that disturbs the next launch.
. "$(dirname "$0")/setup.sh"
command -v python3 >/dev/null || skip "python3 is not installed"
command -v openssl >/dev/null || skip "openssl is not installed"

make_box 2
bad=$scratch/bad.floe
www=$scratch/www
mkdir "$www"
cp "$box" "$www/box.floe"
key=$(find "$home/.config/floe/keys" -name '*.key' | head -n 1)
[ -n "$key" ] || fail "sequencing made no key"

run() { # PACKAGE OPTIONS...
	local package=$1

	shift
	timeout 60 "$floe" run "$@" --env bad --command box "$package" -- true
}

expect 0 -- run "$box"

note "broken packages"
: >"$bad"
expect 125 'bad.floe.*(empty|too short|not a floe package|ended|truncated)' -- run "$bad"
for len in 1 100 4095 4096 5000 100000; do
	head -c "$len" "$box" >"$bad"
	expect 125 'bad.floe.*(too short|not a floe package|ended|truncated|shorter|bytes)' -- run "$bad"
done
head -c 10000 /dev/urandom >"$bad"
expect 125 'not a floe package' -- run "$bad"
cp "$box" "$bad" && printf 'xxx' >>"$bad"
expect 125 'bad.floe' -- run "$bad"

# patch FILE OFFSET HEX
patch() {
	printf '%s' "$3" | python3 -c 'import sys; sys.stdout.buffer.write(bytes.fromhex(sys.stdin.read()))' |
		dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
flip() { # FILE OFFSET: one bit
	python3 -c 'import sys
f = open(sys.argv[1], "r+b"); f.seek(int(sys.argv[2])); b = f.read(1); f.seek(-1, 1); f.write(bytes([b[0] ^ 4]))' "$1" "$2"
}
sign() { # FILE: the header again, with the key that is trusted here
	head -c 128 "$1" >"$scratch/signed"
	openssl pkeyutl -sign -rawin -inkey "$key" -in "$scratch/signed" -out "$scratch/signature" || fail "openssl"
	dd if="$scratch/signature" of="$1" bs=1 seek=128 conv=notrunc status=none
}

for offset in 0 3 7; do
	cp "$box" "$bad" && flip "$bad" "$offset"
	expect 125 'not a floe package' -- run "$bad"
done
for offset in 28 48 70 97 127 128 191 4095 1000; do
	cp "$box" "$bad" && flip "$bad" "$offset"
	expect 125 'bad.floe: .*(signature|header|lengths|features|padding|large|empty)' -- run "$bad"
done
cp "$box" "$bad" && flip "$bad" 4100
expect 125 'bad.floe: .*index' -- run "$bad"
expect 125 'index' -- "$floe" info "$bad"

cp "$box" "$bad" && patch "$bad" 8 0200 && sign "$bad"
expect 125 'format version 2.*newer floe' -- run "$bad"
cp "$box" "$bad" && patch "$bad" 16 0000000000000080 && sign "$bad"
expect 125 'needs features.*newer floe' -- run "$bad"
cp "$box" "$bad" && patch "$bad" 32 ffffffffffffff7f && sign "$bad"
expect 125 'bad.floe: .*(too large|lengths)' -- run "$bad"
cp "$box" "$bad" && patch "$bad" 40 ffffffffffffff7f && sign "$bad"
expect 125 'bad.floe: .*(too large|lengths)' -- run "$bad"
cp "$box" "$bad" && patch "$bad" 40 0100000000000000 && sign "$bad"
expect 125 'bad.floe: ' -- run "$bad"
cp "$box" "$bad" && patch "$bad" 88 ffffffffffffff7f && sign "$bad"
expect 125 'bad.floe: ' -- run "$bad"
# An index of our own making that is not a database.
cp "$box" "$bad"
python3 - "$bad" <<'EOS'
import hashlib, sys
junk = b"\x28\xb5\x2f\xfd" + b"junk" * 500
data = bytearray(open(sys.argv[1], "rb").read())
data[32:40] = len(junk).to_bytes(8, "little")
data[48:80] = hashlib.sha256(junk).digest()
data[4096:4096 + len(junk)] = junk
open(sys.argv[1], "wb").write(data)
EOS
sign "$bad"
expect 125 'bad.floe: ' -- run "$bad"

note "a wrong chunk is an input/output error of the application and never wrong bytes"
cp "$box" "$bad"
python3 - "$bad" <<'EOS'
import sys
f = open(sys.argv[1], "r+b"); size = f.seek(0, 2)
for off in range(size // 4, size - 100, 50000):
    f.seek(off); f.write(b"floe")
EOS
expect 125 'digest|wrong|integrity|damaged|frame' -- "$floe" verify "$bad"
XDG_CACHE_HOME=$scratch/fresh-cache timeout 60 "$floe" run --env bad2 --command data "$bad" >"$out" 2>"$err"
status=$?
[ "$status" -ne 0 ] || fail "reading a broken chunk succeeded"
if cmp -s "$out" "$scratch/tree/share/data"; then fail "the bytes are right although the chunk is broken"; fi
python3 - "$out" "$scratch/tree/share/data" <<'EOS' || fail "wrong bytes came out"
import sys
got, want = (open(p, "rb").read() for p in sys.argv[1:3])
sys.exit(not want.startswith(got))
EOS
"$floe" stop --all >/dev/null 2>&1
holder_leave

note "keys"
other=$scratch/other-home
mkdir "$other" "$other/run" && chmod 700 "$other/run"
elsewhere() { HOME=$other XDG_RUNTIME_DIR=$other/run "$@"; }
elsewhere expect 126 'floe key trust [0-9a-f]{64}' -- run "$box"
trust=$(grep -oE 'floe key trust [0-9a-f]{64}' "$err" | head -n 1)
elsewhere expect 0 -- run "$box" --trust-once
elsewhere expect 126 'trust' -- run "$box"
elsewhere expect 0 -- "$floe" key trust "${trust##* }"
elsewhere expect 0 -- run "$box"
elsewhere expect 0 -- "$floe" key revoke "${trust##* }"
elsewhere expect 126 'revoked' -- run "$box"
elsewhere expect 126 'revoked' -- run "$box" --trust-once
holder_leave

note "commands"
expect 127 'args' -- "$floe" run --env bad --command no-such "$box"
expect 127 -- in_box bad /no/such/program
expect 126 -- in_box bad /etc/passwd
expect 137 -- in_box bad sh -c 'kill -KILL $$'
expect 125 '' -- "$floe" run "$scratch/none.floe"
grep -q 'none.floe' "$err" || fail "which file is missing?"
expect 125 'none' -- "$floe" run none
expect 125 'ftp' -- "$floe" run ftp://127.0.0.1/x.floe
expect 125 '' -- "$floe" run "$scratch"
expect 125 '' -- "$floe" run
expect 125 '' -- "$floe" run --no-such-option "$box"
expect 125 '' -- "$floe" no-such-verb
expect 125 '' -- "$floe" run --env ../escape "$box"
expect 125 '' -- "$floe" env show never-made
expect 0 -- "$floe" --version
expect 0 -- "$floe" --help

note "servers"
make_box_tree "$scratch/big" 6
"$floe" sequence -q --from-dir "$scratch/big" --prefix /opt/big --name big -o "$www/big.floe" || fail "floe sequence"
serve_dir "$www" "
	location /redirect-loop { return 302 /redirect-loop; }
	location /forbidden { return 403; }
	location /broken { return 500; }
	location /no-ranges/ { alias $www/; max_ranges 0; }
	location /to-file { return 302 file:///etc/passwd; }
	location /page { default_type text/html; return 200 '<html>hello</html>'; }"
expect 125 '404|no such file' -- run "$url/none.floe"
expect 125 '403|denies' -- run "$url/forbidden"
expect 125 '500' -- run "$url/broken"
expect 125 'redirect' -- run "$url/redirect-loop"
expect 125 'protocol|redirect' -- run "$url/to-file"
expect 125 'web page, not a package' -- run "$url/page"
expect 0 -- run "$url/no-ranges/big.floe" # comes whole
expect 125 'refused|connect' -- run "http://127.0.0.1:1/box.floe"
expect 125 'resolve|name' -- run "http://no-such-host.invalid/box.floe"
expect 0 -- run "$url/box.floe"

# A listener that resets every connection.
cat >"$scratch/reset.py" <<'EOS'
import socket, struct
s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1], flush=True)
while True:
    c, _ = s.accept(); c.recv(10)
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); c.close()
EOS
python3 "$scratch/reset.py" >"$scratch/reset.port" &
reset_pid=$!
at_end+=("kill $reset_pid 2>/dev/null")
until_true 10 test -s "$scratch/reset.port"
expect 125 'reset|closed|connection' -- run "http://127.0.0.1:$(cat "$scratch/reset.port")/box.floe"

note "the file on the server changes: the new version is used, the old one is never mixed in"
"$floe" stop --all >/dev/null 2>&1
holder_leave
echo changed >"$scratch/tree/share/note"
"$floe" sequence -q --from-dir "$scratch/tree" --prefix /opt/box --name box -o "$scratch/box2.floe" >/dev/null 2>&1 ||
	fail "sequence again"
cp "$scratch/box2.floe" "$www/new" && mv "$www/new" "$www/box.floe"
expect 0 -- "$floe" run --env bad --command box "$url/box.floe" -- cat /opt/box/share/note
[ "$(cat "$out")" = changed ] || fail "still the old version: $(cat "$out")"

note "a home that is full or read-only"
if [ "$(id -u)" -eq 0 ] && mkdir "$scratch/small" && mount -t tmpfs -o size=64k none "$scratch/small" 2>/dev/null; then
	at_end+=('umount -l "$scratch/small"')
	mkdir -m 700 "$scratch/small/run"
	cp -r "$home/.config" "$scratch/small/.config" 2>/dev/null
	got=0
	HOME=$scratch/small XDG_RUNTIME_DIR=$scratch/small/run timeout 60 "$floe" run --env x --command box "$box" -- true \
		>"$out" 2>"$err" || got=$?
	[ "$got" = 0 ] || [ "$got" = 125 ] || fail "status $got on a full home"
	[ "$got" = 0 ] || [ -s "$err" ] || fail "no word about a full home"
	HOME=$scratch/small XDG_RUNTIME_DIR=$scratch/small/run "$floe" stop --all >/dev/null 2>&1
	holder_leave
	mount -o remount,ro "$scratch/small" 2>/dev/null &&
		HOME=$scratch/small expect 125 'Read-only file system' -- run "$box"
	holder_leave
fi
if [ "$(id -u)" -ne 0 ]; then
	HOME=/nonexistent expect 125 'nonexistent' -- run "$box" --trust-once
	holder_leave
fi

note "a machine without user namespaces, without /dev/fuse"
if [ "$(id -u)" -ne 0 ]; then
	"$floe" stop --all >/dev/null 2>&1
	holder_leave
	# Inside a user namespace whose own limit is zero, making another one fails as on a locked-down machine.
	if unshare -Ur true 2>/dev/null; then
		cat >"$scratch/nouserns.sh" <<-EOS
			echo 0 >/proc/sys/user/max_user_namespaces || exit 77
			exec "$floe" run --env bad --command box "$box" -- true
		EOS
		expect 125 'user namespace' -- unshare -U --map-current-user --keep-caps bash "$scratch/nouserns.sh"
		holder_leave
	fi
fi
if [ "$(id -u)" -eq 0 ] && command -v unshare >/dev/null; then
	"$floe" stop --all >/dev/null 2>&1
	holder_leave
	cat >"$scratch/nofuse.sh" <<-EOS
		mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && mknod -m 666 /dev/urandom c 1 9 || exit 77
		exec "$floe" run --env bad --command box "$box" -- true
	EOS
	expect 125 '/dev/fuse' -- unshare --mount bash "$scratch/nofuse.sh"
	holder_leave
fi

note "and after all that a launch works"
expect 0 -- run "$box"
