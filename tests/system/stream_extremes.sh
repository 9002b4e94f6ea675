#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=normal users=root,user timeout=400
# A crowd of readers, a cache that is too small, servers killed while they fetch, a cache that rots: few requests, and
# every byte right.
. "$(dirname "$0")/setup.sh"

rate=64m
make_box_tree "$scratch/tree" 12
mkdir "$scratch/www"
"$floe" sequence -q --from-dir "$scratch/tree" --prefix /opt/box --name box --launch data -o "$scratch/www/box.floe" \
	>"$out" 2>&1 || { cat "$out"; fail "floe sequence"; }
"$floe" info --json "$scratch/www/box.floe" >"$out"
block=$(sed -n 's/.*"feature_block": \([0-9]*\).*/\1/p' "$out")
[ "$block" -gt $((12 << 20)) ] || fail "the launch was not learnt: a feature block of $block bytes"
"$floe" sequence -q --from-dir "$scratch/tree" --prefix /opt/box --name bare --version 2 -o "$scratch/www/bare.floe" \
	>"$out" 2>&1 || fail "floe sequence"
serve_dir "$scratch/www" "limit_rate $rate;"
export XDG_CACHE_HOME=$home/.cache XDG_CONFIG_HOME=$home/.config
chunks=$home/.cache/floe/chunks.dat
everything='cd /opt/box && find . -type f | LC_ALL=C sort | xargs cat | sha256sum'
want=$(cd "$scratch/tree" && find . -type f | LC_ALL=C sort | xargs cat | sha256sum)

launch() { # PACKAGE [OPTION...] -- COMMAND...
	local package=$1

	shift
	timeout -s KILL 180 "$floe" run --ephemeral --command box "$url/$package.floe" "$@" >"$out" 2>"$err" ||
		{ cat "$err"; fail "floe run $package $*: $?"; }
}
all_right() { # PACKAGE [OPTION...]
	launch "$@" -- sh -c "$everything"
	[ "$(cat "$out")" = "$want" ] || fail "$*: wrong bytes"
}
leave() {
	timeout 20 "$floe" stop --all >/dev/null 2>&1
	holder_leave || fail "the holder stays"
}
number() { "$floe" cache status --json | sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p"; }

note "1,000 opens of a chunk that is not there"
launch bare -- true
before=$(requests)
launch bare -- sh -c 'seq 1000 | xargs -P 50 -n 1 sh -c "head -c 4096 /opt/box/share/data | cksum"'
[ "$(sort -u "$out" | wc -l)" = 1 ] && [ "$(wc -l <"$out")" = 1000 ] || fail "they read different bytes"
# What read-ahead wants comes along.
asked=$(($(requests) - before))
[ "$asked" -le 3 ] || { tail "$access_log"; fail "$asked requests"; }
note "$asked requests"
leave

note "a cache that is smaller than the feature block"
expect 0 -- "$floe" cache gc --keep 0
expect 0 -- "$floe" cache quota 4M
all_right box
leave
all_right box
leave
expect 0 -- "$floe" cache quota default

note "the package server is killed while it fetches"
kills=0 wanted=20
[ "${FLOE_FULL:-0}" != 1 ] || wanted=100
while [ "$kills" -lt "$wanted" ]; do
	expect 0 -- "$floe" cache gc --keep 0
	timeout -s KILL 180 "$floe" run --ephemeral --command box "$url/bare.floe" -- sh -c "$everything" >"$out" 2>"$err" &
	reader=$!
	while kill -0 "$reader" 2>/dev/null; do
		sleep "0.$((RANDOM % 2))$((RANDOM % 10))"
		for pid in $(floe_pids floe-package-server); do
			kill -KILL "$pid" 2>/dev/null && kills=$((kills + 1))
		done
	done
	wait "$reader" || { cat "$err"; fail "status $? after $kills kills"; }
	[ "$(cat "$out")" = "$want" ] || fail "wrong bytes after $kills kills"
	leave
	expect 0 -- "$floe" cache verify
	all_right bare
	leave
done
note "$kills kills"
all_right bare --offline
leave

note "a cache that rots in 1,000 places"
dropped=$(number damaged_chunks_dropped)
python3 - "$chunks" <<'EOS' || fail "python3"
import os, random, sys
with open(sys.argv[1], "r+b") as f:
    size = f.seek(0, os.SEEK_END)
    for _ in range(1000):
        at = random.randrange(size)
        f.seek(at)
        byte = f.read(1)
        f.seek(at)
        f.write(bytes([byte[0] ^ 1]))
EOS
all_right bare
leave
all_right bare
dropped=$(($(number damaged_chunks_dropped) - dropped))
[ "$dropped" -gt 0 ] || fail "no damage was reported"
note "$dropped chunks were damaged"
expect 0 -- "$floe" cache verify
all_right bare --offline
