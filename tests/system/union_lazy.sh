#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=heavy users=root,user timeout=600
# A package served over HTTP as a layer of floe's own union. Opening a large file for writing and changing one byte
# fetches the block around it; chmod and rename fetch nothing. What is changed, and what is in the cache, is there
# without the server; the rest is an error, or waited for, as wanted, and never wrong bytes. The same after a freeze.
. "$(dirname "$0")/setup.sh"

mount=$FLOE_BUILD/tests/union/union_mount
freeze=$FLOE_BUILD/tests/union/freeze
[ -x "$mount" ] || fail "there is no $mount"
mib=$((1 << 20))

# ---- the package
tree=$scratch/tree want=$scratch/want pub=$scratch/pub
mkdir -p "$tree" "$pub" "$scratch"/{lower,upper,work,target}
head -c $((300 * mib)) /dev/urandom >"$tree/big"
for name in mode moved cut; do head -c $((8 * mib)) /dev/urandom >"$tree/$name"; done
"$floe" sequence -q --from-dir "$tree" --prefix /p --name lazy -o "$pub/lazy.floe" >"$scratch/log" 2>&1 ||
	{ cat "$scratch/log"; fail "floe sequence"; }
[ "$(stat -c %s "$pub/lazy.floe")" -gt $((310 * mib)) ] || fail "the package is too small for this test"
mv "$tree" "$want" # changed in what follows as the union is
serve_dir "$pub"
source=$url/lazy.floe

# ---- tools
layers=() as=()
[ "$(id -u)" -eq 0 ] || as=(--root --map-owners)
on() { # COMMAND...: in the union
	local status=0

	timeout -k 10 200 "$mount" --engine fuse "${as[@]}" "${options[@]}" "${layers[@]}" --package "$source" --lower "$scratch/lower" \
		--upper "$scratch/upper" --work "$scratch/work" "$scratch/target" -- "$@" 2>"$err" </dev/null || status=$?
	if [ "$status" = 77 ] && grep -q 'built without' "$err"; then skip "no such engine in this build"; fi
	[ "$status" = 0 ] || { tail -n 20 "$err"; fail "status $status: $*"; }
}

fetched() { # bytes of content that nginx has sent since the last question
	local all

	sleep 0.2 # its log comes behind the answer
	all=$(awk '{ n += $4 } END { printf "%d", n }' "$access_log")
	bytes=$((all - ${before:-0})) before=$all
}

# A few MiB are the beginning of the package, which is asked for at every mount, the index, and some chunks.
little() { # WHAT
	fetched
	note "$1: $bytes bytes fetched"
	[ "$bytes" -lt $((4 * mib)) ] || fail "$1: $bytes bytes fetched"
}

same_files() { # in the union: all is as it should be
	on sh -c 'cd p && for f in big mode moved2 cut; do cmp "$f" "$0/$f" || exit 1; done' "$want"
}

poke() { # FILE OFFSET TEXT
	printf '%s' "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# ---- without the cache: each byte that is asked for is a byte fetched
options=()
on ls p
little "listing"
first=$bytes
on sh -c 'printf X | dd of=p/big bs=1 seek=157286411 conv=notrunc status=none && [ "$(dd if=p/big bs=1 skip=157286411 count=1 status=none)" = X ]'
poke "$want/big" 157286411 X
little "one byte of 300 MiB"
on sh -c 'exec 3<>p/big && chmod 600 p/mode && touch -d 2001-02-03 p/moved && mv p/moved p/moved2'
mv "$want/moved" "$want/moved2"
little "mode, time and name"
[ "$bytes" -le "$first" ] || fail "mode, time and name: $((bytes - first)) bytes of content fetched"
on sh -c 'truncate -s 5000001 p/cut && truncate -s 9000000 p/cut'
truncate -s 5000001 "$want/cut" && truncate -s 9000000 "$want/cut"
little "size"
[ "$(du -sk "$scratch/upper" | cut -f1)" -lt 4096 ] || fail "the upper is $(du -sk "$scratch/upper" | cut -f1) KiB"
same_files
on sh -c 'stat -c "%a %s" p/mode; stat -c %Y p/moved2; stat -c %s p/big p/cut; [ ! -e p/moved ]' >"$out"
[ "$(tr '\n' ' ' <"$out")" = "600 $((8 * mib)) $(date -d 2001-02-03 +%s) $((300 * mib)) 9000000 " ] || { cat "$out"; fail "attributes"; }
[ "$(du -sk "$scratch/upper" | cut -f1)" -lt 4096 ] || fail "reading filled the upper"
fetched

# ---- killed all the time, it comes to the same
cp -a "$scratch/upper" "$scratch/upper.saved"
options=(--kill-every 150)
on sh -c 'for i in $(seq 40); do printf "$i" | dd of=p/big bs=1 seek=$((i * 7340032 + 4090)) conv=notrunc status=none || exit 1; sleep 0.05; done
	dd if=p/big of=/dev/null bs=1M count=20 skip=100 status=none'
for i in $(seq 40); do poke "$want/big" $((i * 7340032 + 4090)) "$i"; done
note "$(tail -n 1 "$err")"
options=()
same_files

# ---- without the server: what was changed, and what is in the cache
options=(--cache "$scratch/cache" --fail-after 1)
fetched
on dd if=p/big of=/dev/null bs=1M count=2 status=none
fetched # and what was read ahead
note "two MiB, kept: $bytes bytes fetched"
stop_serving
dd if="$want/big" bs=4096 skip=38400 count=1 of="$scratch/block" status=none
on sh -c '
	[ "$(dd if=p/big bs=1 skip=157286411 count=1 status=none)" = X ] || exit 1
	dd if=p/big bs=1M count=2 status=none | cmp -n 2097152 - "$0/big" || exit 2
	dd if=p/big bs=4096 skip=38400 count=1 status=none | cmp - "$1" || exit 3
	printf Y | dd of=p/big bs=1 seek=1000 conv=notrunc status=none || exit 4
	dd if=p/big of=/dev/null bs=4096 skip=60000 count=1 status=none 2>"$1.err" && exit 5
	grep -qi "input/output error" "$1.err" || exit 6
	printf Z | dd of=p/big bs=1 seek=250000000 conv=notrunc status=none 2>"$1.err" && exit 7
	cmp -s p/mode "$0/mode" && exit 8
	chmod 640 p/mode && [ "$(stat -c %a p/mode)" = 640 ]' "$want" "$scratch/block"
poke "$want/big" 1000 Y
options=(--cache "$scratch/cache")
on sh -c 'timeout -s KILL 1 dd if=p/mode of="$0" bs=1M status=none; [ $? = 137 ] && [ ! -s "$0" ]
	printf lost | timeout -s KILL 1 dd of=p/mode bs=1 seek=7000000 conv=notrunc status=none; [ $? = 137 ]' "$scratch/none"
on sh -c 'touch "$1" && cmp p/mode "$0/mode"' "$want" "$scratch/waiting" &
waiting=$!
until_true 20 [ -e "$scratch/waiting" ] || fail "nothing waits"
sleep 1
kill -0 $waiting 2>/dev/null || fail "it did not wait"
nginx -p "$scratch/nginx" -c "$scratch/nginx/nginx.conf" >/dev/null 2>&1 &
nginx_pid=$!
wait "$waiting" || fail "what waited for the server: $?"
options=()
same_files

# ---- frozen, and copied up from there
"$freeze" "$scratch/upper" "$scratch/work" "$scratch/frozen" >/dev/null || fail "freeze"
layers=(--frozen "$scratch/frozen")
same_files
fetched
on sh -c 'printf again | dd of=p/big bs=1 seek=157286412 conv=notrunc status=none && chmod 604 p/cut && mv p/moved2 p/moved &&
	stat -c "%s %a" p/big p/cut p/moved'
poke "$want/big" 157286412 again && mv "$want/moved" "$want/moved2" 2>/dev/null
little "five bytes of what is frozen"
on mv p/moved p/moved2
same_files
[ "$(du -sk "$scratch/upper" | cut -f1)" -lt 4096 ] || fail "the upper is $(du -sk "$scratch/upper" | cut -f1) KiB"
[ "$(on stat -c '%s %a' p/cut)" = "9000000 604" ] || fail "attributes of what was frozen"
