#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=normal users=root,user timeout=240
# floe extract and verify of a URL: each byte of the package crosses the network once, however its chunks lie and
# however little memory there is; a few paths bring little more than themselves; all bytes right.
. "$(dirname "$0")/setup.sh"

# A primary feature block of files from everywhere, small ones beside large ones, and content that comes twice.
tree=$scratch/tree
mkdir "$tree"
python3 - "$tree" "$scratch/profile" <<'END'
import os, sys
tree, profile = sys.argv[1:]
again = os.urandom(6 << 20)
with open(profile, "w") as touches:
    touches.write("floe-touches 1\n")
    for i in range(10, 50):
        os.mkdir(f"{tree}/d{i}")
        for k in range(10, 30):
            open(f"{tree}/d{i}/f{k}", "wb").write(os.urandom(20000))
        touches.write(f"0 20000 opt/t/d{i}/f15\n")
        if i % 10 == 0:
            open(f"{tree}/d{i}/large", "wb").write(again if i == 30 else os.urandom(6 << 20))
            touches.write(f"0 300000 opt/t/d{i}/large\n")
open(f"{tree}/d49/again", "wb").write(again)
END
mkdir "$scratch/www"
expect 0 -- "$floe" sequence -q --from-dir "$tree" --prefix /opt/t --name t --profile "$scratch/profile" \
	-o "$scratch/www/t.floe"
size=$(stat -c %s "$scratch/www/t.floe")
expect 0 -- "$floe" info --json "$scratch/www/t.floe"
block=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["bytes"]["feature_block"])' <"$out")
note "$size bytes, of which $block are the primary feature block"
[ "$block" -gt 500000 ] || fail "no feature block to speak of"
serve_dir "$scratch/www"
spare=$((640 << 10)) # for gaps

bytes() { sleep 0.1; awk '{ sum += $4 } END { print sum + 0 }' "$access_log"; }
brought() { # MOST
	local sent

	sent=$(bytes)
	note "$sent bytes in $(requests) requests"
	[ "$sent" -le "$1" ] || { cat "$access_log"; fail "$sent bytes for $1"; }
	: >"$access_log"
}

expect 0 -- "$floe" extract "$url/t.floe" -C "$scratch/all"
brought $((size + spare))
diff -r "$tree" "$scratch/all/opt/t" || fail "other bytes than were packed"
[ -z "$(find "$scratch/all" -name '.floe*')" ] || fail "something is left behind"

expect 0 -- "$floe" extract "$url/t.floe" -C "$scratch/some" opt/t/d20 opt/t/d11/f15 opt/t/d12/f15 opt/t/d13/f15
brought $((9 << 20))
diff -r "$tree/d20" "$scratch/some/opt/t/d20" || fail "other bytes than were packed"
cmp "$tree/d13/f15" "$scratch/some/opt/t/d13/f15" || fail "other bytes than were packed"

expect 0 -- "$floe" verify "$url/t.floe"
brought $((size + spare))
