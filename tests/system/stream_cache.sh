#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=normal users=root,user timeout=120
# What streaming keeps: few requests cold, one warm, none offline; damage repaired; status, verify, gc.
. "$(dirname "$0")/setup.sh"

make_box 4
mkdir "$scratch/www"
cp "$box" "$scratch/www/box.floe"
serve_dir "$scratch/www"
chunks=$home/.cache/floe/chunks.dat
export XDG_CACHE_HOME=$home/.cache
rm -rf "$home/.cache/floe"

# The holder keeps mounts; it leaves so that each launch starts from what is kept.
launch() { # OPTIONS...
	timeout 60 "$floe" run "$@" --env cache --command box "$url/box.floe" -- \
		sha256sum /opt/box/share/data >"$out" 2>"$err" || { cat "$err"; fail "floe run $*"; }
	[ "$(cut -d' ' -f1 "$out")" = "$want" ] || fail "other bytes than were packed"
	timeout 20 "$floe" stop --all >/dev/null 2>&1
	holder_leave
	until_true 20 nobody_holds || fail "the holder stays"
}
nobody_holds() { [ -z "$(holder_pids)" ]; }
want=$(sha256sum <"$scratch/tree/share/data" | cut -d' ' -f1)

note "cold, warm, offline"
launch
cold=$(requests)
[ "$cold" -le 12 ] || { cat "$access_log"; fail "$cold requests for a cold launch"; }
launch
warm=$(($(requests) - cold))
[ "$warm" -le 1 ] || { cat "$access_log"; fail "$warm requests for a warm launch"; }
launch --offline
[ "$(requests)" = $((cold + warm)) ] || fail "--offline asked the network"
stop_serving
launch

note "status, verify, gc"
expect 0 -- "$floe" cache status --json
grep -q '"chunks"' "$out" || fail "no JSON"
expect 0 -- "$floe" cache verify
grep -q ' 0 damaged' "$out" || { cat "$out"; fail "a fresh cache is damaged"; }
[ -s "$chunks" ] || fail "there is no $chunks"
printf damage | dd of="$chunks" bs=1 seek=9000 conv=notrunc status=none
expect 0 -- "$floe" cache verify
grep -q ' 1 damaged' "$out" || { cat "$out"; fail "the damage was not found"; }
serve_dir "$scratch/www"
launch
expect 0 -- "$floe" cache gc --keep 0
expect 0 -- "$floe" cache status
grep -q ' 0 chunks' "$out" || { cat "$out"; fail "gc kept something"; }
launch
expect 125 'not a size' -- "$floe" cache gc --keep lots
expect 125 'verify, gc' -- "$floe" cache

note "a damaged database is a fresh one"
head -c 20000 /dev/urandom >"$home/.cache/floe/cache.db"
launch
expect 0 -- "$floe" cache verify

note "no cache at all"
rm -rf "$home/.cache/floe"
touch "$home/.cache/floe"
launch
rm "$home/.cache/floe"
