#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=heavy users=user timeout=1800
# A large graphical application with a deep dependency tree: sequenced with apt-get, streamed from nginx, opened
# under Xvfb until its window is there; requests and bytes of the cold start counted, the warm one without any.
# Keeps the picture and the figures in $FLOE_KEEP when that is set.
. "$(dirname "$0")/setup.sh"
command -v import >/dev/null || skip "import is not installed (check --full installs it)"
app=${FLOE_HEAVY_APP:-inkscape}
command -v "$app" >/dev/null && skip "$app is installed on this machine"

www=$scratch/www
mkdir "$www"
open_display

has_window() { xwininfo -root -tree 2>/dev/null | grep -iE "\"[^\"]*${app}[^\"]*\"" | grep -qE '[3-9][0-9]{2,}x[2-9][0-9]{2,}'; }

note "sequencing $app"
lists=''
ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1 || lists='apt-get update -qq && '
start=$(date +%s)
"$floe" sequence -q -o "$www/$app.floe" --name "$app" --launch "timeout 40 $app" -- \
	sh -c "$lists apt-get install -y --no-install-recommends $app" >"$scratch/sequence.log" 2>&1 </dev/null || {
	tail -n 60 "$scratch/sequence.log"
	fail "sequencing"
}
size=$(stat -c %s "$www/$app.floe")
echo "package: $size bytes, sequenced in $(($(date +%s) - start)) s"
"$floe" stop --all >/dev/null 2>&1
holder_leave
rm -rf "$home/.cache/floe"

serve_dir "$www"
now_ms() { date +%s%3N; }
launch() { # FILE
	"$floe" run --env heavy --command "$app" "$url/$app.floe" >"$1" 2>&1 &
	run=$!
	began=$(now_ms)
	until_true 180 has_window || { cat "$1"; fail "no window"; }
	took=$(($(now_ms) - began))
}

note "cold"
launch "$scratch/cold"
sleep 3
"$floe" ps --json >"$scratch/ps-cold.json"
count=$(requests)
bytes=$(awk '{ sum += $4 } END { print sum + 0 }' "$access_log")
echo "cold start: window after $took ms, $count requests, $bytes of $size bytes ($((bytes * 100 / size)) %)"
cat "$access_log"
import -window root "$scratch/cold.png" && [ "$(stat -c %s "$scratch/cold.png")" -gt 10000 ] || fail "screenshot"
colours=$(identify -format %k "$scratch/cold.png" 2>/dev/null || echo 100)
[ "$colours" -gt 50 ] || fail "the screen is empty ($colours colours)"
[ "$count" -le 11 ] || fail "$count requests; at most 3 and 8 are allowed"
[ "$bytes" -lt "$size" ] || fail "more was fetched than there is"
# What came was decompressed once, and not read again from the cache.
chunks() { sed -n "s/.*\"chunks-$1\": \([0-9]*\).*/\1/p" "$scratch/ps-cold.json"; }
[ "$(chunks cached)" -le $(($(chunks fetched) / 2)) ] || fail "$(chunks cached) chunks were read again, of $(chunks fetched)"
"$floe" stop heavy >/dev/null 2>&1 || "$floe" stop --all
wait "$run"

note "warm"
before=$(requests)
launch "$scratch/warm"
echo "warm start: window after $took ms, $(($(requests) - before)) requests"
[ "$(requests)" -le $((before + 1)) ] || fail "a warm start asked for more than whether it is still the same"
[ "$(requests)" = "$before" ] || [[ "$(tail -n 1 "$access_log")" = *'"bytes=0-4095"'* ]] ||
	{ tail -n 1 "$access_log"; fail "a warm start asked for content"; }
"$floe" ps --json >"$scratch/ps-warm.json"
for pid in $(floe_pids ''); do ps -o rss=,args= -p "$pid"; done
"$floe" stop --all >/dev/null 2>&1
wait "$run"

note "with the server gone"
stop_serving
holder_leave
launch "$scratch/gone"
"$floe" stop --all >/dev/null 2>&1
wait "$run"
if [ -n "${FLOE_KEEP:-}" ]; then cp "$scratch"/*.png "$scratch"/ps-*.json "$FLOE_KEEP/"; fi
command -v "$app" >/dev/null && fail "$app is on the host now"
true
