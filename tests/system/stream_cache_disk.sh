#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=normal users=root timeout=240
# A cache on a disk that is full, has never had room, or cannot be written: applications run all the same and read
# the right bytes, what was kept stays, and all is as ever once there is room.
. "$(dirname "$0")/setup.sh"

make_box 6
mkdir "$scratch/www" "$scratch/disk"
cp "$box" "$scratch/www/box.floe"
rm -rf "$scratch/tree" "$box"
make_box 1
cp "$box" "$scratch/www/small.floe"
serve_dir "$scratch/www"
export XDG_CACHE_HOME=$scratch/disk FLOE_CACHE_QUOTA=1G # by default it takes a tenth of the disk

# small_disk SIZE: the cache's, empty.
small_disk() {
	leave
	! mountpoint -q "$scratch/disk" || umount "$scratch/disk" || fail "umount"
	mount -t tmpfs -o "size=$1,mode=755" floe-test "$scratch/disk" 2>/dev/null || skip "no tmpfs can be mounted here"
}
at_end+=("umount -l '$scratch/disk' 2>/dev/null")
nobody_runs() { [ -z "$(floe_pids)" ]; }
leave() {
	timeout 20 "$floe" stop --all >/dev/null 2>&1
	holder_leave
	until_true 30 nobody_runs || fail "servers stay: $(floe_pids)"
}

# reads PACKAGE [OPTION...]: a launch that starts from what is kept reads its data.
reads() {
	leave
	timeout 100 "$floe" run --env disk-$1 --command box "${@:2}" "$url/$1.floe" -- sha256sum /opt/box/share/data \
		>"$out" 2>"$err" || { cat "$err"; fail "floe run $*"; }
	[ "$(cut -d' ' -f1 "$out")" = "${sums[$1]}" ] || fail "$1: other bytes than were packed"
}
declare -A sums
for name in box small; do
	expect 0 -- "$floe" extract "$scratch/www/$name.floe" -C "$scratch/$name" opt/box/share/data
	sums[$name]=$(sha256sum <"$scratch/$name/opt/box/share/data" | cut -d' ' -f1)
done
intact() {
	leave
	expect 0 -- "$floe" cache verify
	grep -q ' 0 damaged' "$out" || { cat "$out"; fail "something is damaged"; }
}

note "room for a part only"
small_disk 4m
reads box
reads box
intact

note "full, and something is kept already: it stays"
small_disk 8m
reads small
reads small --offline
dd if=/dev/zero of="$scratch/disk/filler" bs=64K status=none 2>/dev/null
[ "$(stat -f -c %a "$scratch/disk")" -lt 20 ] || fail "the disk is not full"
reads box
reads small --offline
"$floe" cache fill "$url/box.floe" >"$out" 2>"$err" </dev/null && fail "floe cache fill says that all is there"
grep -q . "$err" || fail "nothing is said"
note "fill: $(tail -n 1 "$err")"
intact
reads small --offline

note "room again"
rm "$scratch/disk/filler"
mount -o remount,size=64m "$scratch/disk"
expect 0 -- "$floe" cache fill "$url/box.floe"
reads box --offline
reads small --offline
intact

note "read-only"
mount -o remount,ro "$scratch/disk"
reads box
reads small
mount -o remount,rw "$scratch/disk"
reads box --offline

note "never any room"
small_disk 16k
reads box
expect 0 -- "$floe" extract "$url/small.floe" -C "$scratch/again"
