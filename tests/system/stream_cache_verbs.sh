#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=normal users=root,user timeout=240
# What the user says about the cache: fill, pins, quota, status, a shared store; and what he does to it.
. "$(dirname "$0")/setup.sh"

make_box 24
mkdir "$scratch/www"
cp "$box" "$scratch/www/box.floe"
make_other() { # another package, of which nothing is shared
	rm -rf "$scratch/tree"
	make_box_tree "$scratch/tree" 8
	"$floe" sequence -q --from-dir "$scratch/tree" --prefix /opt/box --name other --version 2 \
		-o "$scratch/www/other.floe" >"$scratch/sequence.log" 2>&1 || fail "floe sequence"
}
want=$(sha256sum <"$scratch/tree/share/data" | cut -d' ' -f1)
make_other
serve_dir "$scratch/www"
link_to "$port" --rate 20M # slow enough to be interrupted
url=http://127.0.0.1:$link_port
export XDG_CACHE_HOME=$home/.cache XDG_CONFIG_HOME=$home/.config
rm -rf "$home/.cache/floe"

status_of() { # NAME FIELD
	"$floe" cache status --json | python3 -c '
import json, sys
for p in json.load(sys.stdin)["packages"]:
    if p["name"] == sys.argv[1]: print(p[sys.argv[2]])' "$1" "$2"
}
total() { "$floe" cache status --json | python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }
launch() { # OPTIONS...
	timeout 60 "$floe" run "$@" --env cache --command box "$url/box.floe" -- \
		sha256sum /opt/box/share/data >"$out" 2>"$err" || { cat "$err"; fail "floe run $*"; }
	[ "$(cut -d' ' -f1 "$out")" = "$want" ] || fail "other bytes than were packed"
}
bytes_sent() {
	sleep 0.1 # nginx writes its log behind the answer
	awk '{s += $4} END {print s + 0}' "$access_log"
}
leave() {
	timeout 20 "$floe" stop --all >/dev/null 2>&1
	holder_leave
}

note "fill, interrupted and resumed"
"$floe" cache fill "$url/box.floe" >"$out" 2>"$err" &
filling=$!
got_some() { [ "$(status_of box present_bytes)" -gt 1000000 ] 2>/dev/null; }
until_true 20 got_some || { cat "$err"; fail "fill keeps nothing"; }
kill -INT $filling
link_ask rate 0
wait $filling && { cat "$out"; fail "fill was not interrupted"; }
grep -q 'is kept' "$err" || { cat "$err"; fail "nothing is said of what is kept"; }
some=$(status_of box present_bytes)
[ "$some" -lt "$(status_of box content_bytes)" ] || fail "it was complete before the interruption"
before=$(bytes_sent)
expect 0 -- "$floe" cache fill "$url/box.floe"
[ ! -s "$err" ] || { cat "$err"; fail "progress without a terminal"; }
after=$(bytes_sent)
[ "$(status_of box present_bytes)" = "$(status_of box content_bytes)" ] || fail "fill left something out"
[ $((after - before)) -lt $((24 * 1024 * 1024 - some / 2)) ] || fail "fill fetched again what was there"
expect 0 -- "$floe" cache fill box
[ "$(bytes_sent)" -lt $((after + 300000)) ] || fail "fill of all fetched something"
launch --offline
leave

note "pins, use, quota"
expect 0 -- "$floe" cache pin box
expect 0 -- "$floe" cache fill "$url/other.floe"
expect 0 -- "$floe" cache status
grep -Eq '^box +24\.. MiB +all +yes ' "$out" || { cat "$out"; fail "status does not say it"; }
expect 0 -- "$floe" cache gc --keep 0
[ "$(status_of box present_bytes)" = "$(status_of box content_bytes)" ] || fail "gc dropped what is pinned"
# The small files are the same in both packages.
[ "$(status_of other present_bytes)" -lt 1000000 ] || fail "gc kept what is not"
expect 125 'quota SIZE' -- env FLOE_CACHE_QUOTA=1M "$floe" cache fill "$url/other.floe"
expect 125 'quota' -- env FLOE_CACHE_QUOTA=26M "$floe" cache fill "$url/other.floe"
expect 0 -- "$floe" cache unpin box
launch
[ "$(status_of box in_use)" = True ] || fail "a running package is not in use"
expect 0 -- "$floe" cache gc --keep 0
[ "$(status_of box present_bytes)" = "$(status_of box content_bytes)" ] || fail "gc dropped what is in use"
leave
[ "$(status_of box in_use)" = False ] || fail "still in use"
expect 0 -- "$floe" cache quota 5M
[ "$(total content_bytes)" -le $((5 << 20)) ] || fail "more than the quota"
launch
leave
[ "$(total content_bytes)" -le $((5 << 20)) ] || fail "a launch passed the quota"
grep -qx 'quota = 5242880' "$home/.config/floe/cache.conf" || fail "no quota in cache.conf"
echo 'quota = lots' >"$home/.config/floe/cache.conf"
launch
leave
expect 0 'cache.conf:1: lots' -- "$floe" cache status
rm "$home/.config/floe/cache.conf"
expect 0 -- "$floe" cache quota default
expect 125 'knows no' -- "$floe" cache unpin box
expect 125 -- "$floe" cache pin nonsense
expect 125 'too few' -- "$floe" cache fill
expect 125 'local file' -- "$floe" cache fill "$box"

note "a shared store that cannot be written"
expect 0 -- "$floe" cache fill "$url/box.floe"
expect 0 -- "$floe" cache export "$scratch/store" box
chmod -R a-w "$scratch/store"
echo "shared-store = $scratch/store" >"$home/.config/floe/cache.conf"
rm -rf "$home/.cache/floe"
stop_serving
launch --offline
leave
[ "$(total content_bytes)" = 0 ] || fail "what the store has was copied"
[ "$(status_of box shared_bytes)" = "$(status_of box content_bytes)" ] || fail "status does not count the store"
rm "$home/.config/floe/cache.conf"
