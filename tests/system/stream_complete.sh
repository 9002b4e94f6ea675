#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=normal users=root,user timeout=180
# The rest of a package comes in the background while an application runs and nobody reads: then it needs no server.
. "$(dirname "$0")/setup.sh"

make_box 8
mkdir "$scratch/www" "$home/.config" 2>/dev/null
cp "$box" "$scratch/www/box.floe"
serve_dir "$scratch/www"
link_to "$port" --rate 20M # or all is here before anybody could have asked for it
url=http://127.0.0.1:$link_port
export XDG_CACHE_HOME=$home/.cache
rm -rf "$home/.cache/floe"
mkdir -p "$home/.config/floe"

present() { "$floe" cache status --json | grep -o '"present_bytes": *[0-9]*' | grep -o '[0-9]*$' | head -n 1; }
size=$(stat -c %s "$scratch/tree/share/data")

run_for() { # SECONDS
	timeout 100 "$floe" run --env complete --command box "$url/box.floe" -- sleep "$1" >"$out" 2>"$err" ||
		{ cat "$err"; fail "floe run"; }
}

note "not wanted"
echo 'complete-after = 0' >"$home/.config/floe/cache.conf"
run_for 4
before=$(present)
[ "$before" -lt "$size" ] || fail "$before bytes are here though nobody has read them"
timeout 20 "$floe" stop --all >/dev/null 2>&1
holder_leave

if awk '$2 == "00000000" && $8 == "00000000" { found = 1 } END { exit !found }' /proc/net/route; then
	note "wanted, but not over a metered network"
	printf 'complete-after = 1\nmetered = no* *\n' >"$home/.config/floe/cache.conf"
	run_for 6
	[ "$(present)" -lt "$size" ] || fail "fetched over a metered network"
	timeout 20 "$floe" stop --all >/dev/null 2>&1
	holder_leave
fi

note "wanted"
echo 'complete-after = 1' >"$home/.config/floe/cache.conf"
run_for 60 &
launch=$!
is_complete() { [ "$(present)" -ge "$size" ]; }
until_true 50 is_complete || fail "$(present) of $size bytes after a while"
stop_serving
timeout 20 "$floe" stop --all >/dev/null 2>&1
wait "$launch" 2>/dev/null
want=$(sha256sum <"$scratch/tree/share/data" | cut -d' ' -f1)
timeout 60 "$floe" run --offline --env complete --command box "$url/box.floe" -- sha256sum /opt/box/share/data >"$out" ||
	fail "it does not run without the server"
[ "$(cut -d' ' -f1 "$out")" = "$want" ] || fail "other bytes than were packed"
