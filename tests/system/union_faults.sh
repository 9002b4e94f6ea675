#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=heavy users=root,user timeout=900
# The fuse engine when the upper's file system fails: a call that goes wrong at each step of each operation, full
# disks, exhausted inodes and quotas, uppers that may not be written or become so. The right error at the call that
# caused it, the old state or the new, nothing lost, and on it goes when the fault is over.
. "$(dirname "$0")/setup.sh"

tests=$FLOE_BUILD/tests/union
[ -x "$tests/union_mount" ] || fail "there is no $tests/union_mount"
cd "$scratch" || exit 1
mkdir lower room-lower target real model fail
"$tests/faults" make lower || fail "the lower layer of the sweep"
"$tests/room" make room-lower || fail "the lower layer of the rest"
missing=''

# mounted LOWER UPPERS-DIR COMMAND...: runs in the union
mounted() {
	local lower=$1 top=$2

	shift 2
	timeout -k 10 200 "$tests/union_mount" --engine fuse --lower "$lower" --upper "$top/upper" --work "$top/work" \
		target -- "$@" </dev/null
}

nothing_half_made() { # DIR WHEN
	local left

	left=$(find "$1/work/tmp" "$1/work/orphans" "$1/work/trash" -mindepth 1 2>/dev/null)
	[ -z "$left" ] || { echo "$left"; fail "left in the work directory $2"; }
}

# ---- one call fails, or all from one on; without RENAME_WHITEOUT some steps are two, so only the former
cat >both.sh <<'EOS'
tests=$1 errno=$2 count=$3
union() {
	timeout -k 10 200 "$tests/union_mount" --engine fuse --lower lower --upper fail/upper --work fail/work \
		target -- "$tests/faults" "$@"
}
union sweep . "$PWD/model" "$PWD/fail" "$errno" "$count" && union check . "$PWD/model"
EOS
sweep() { # ERRNO once|lasting [OPTION OF FAIL_MOUNT]
	note "the upper's calls fail: $*"
	rm -rf real model && mkdir real real/upper real/work model
	timeout -k 10 500 "$tests/fail_mount" ${3:+"$3"} real fail -- sh both.sh "$tests" "$1" "$2" >out 2>err </dev/null || {
		head -n 80 err
		fail "the sweep: $*"
	}
	tail -n 1 out
	nothing_half_made real "after the sweep"
}
eio=5 edquot=122
sweep $eio once
sweep $eio lasting
sweep $edquot lasting
sweep $eio once --no-whiteout

# ---- small file systems
cat >small.sh <<'EOS'
set -eu
tests=$1
union() {
	timeout -k 10 200 "$tests/union_mount" --engine fuse --lower room-lower --upper small/upper --work small/work \
		target -- "$@"
}
nothing_left() {
	test -z "$(find small/work/tmp small/work/orphans -mindepth 1)" || { find small/work; exit 1; }
}
fresh() {
	rm -rf small/upper small/work
	mkdir small/upper small/work
}
fresh
union "$tests/room" full . ENOSPC
nothing_left
union sh -c 'test ! -e away && test ! -e filler && cmp -n 1000 small0 new'
fresh
union "$tests/room" inodes .
nothing_left
union sh -c 'test ! -e away && cmp -n 1000 small0 new'
# Full when it is mounted, too.
fresh
union true
cat /dev/zero >small/fill 2>/dev/null || true
union sh -c 'cat big0 >/dev/null && ! echo x 2>/dev/null >>big0 && cmp big0 big1'
rm small/fill
union sh -c 'echo x >>big0'
EOS
mkdir small
note "a small tmpfs"
unshare --user --map-root-user --mount sh -c '
	mount -t tmpfs -o size=16m,nr_inodes=400 none small || exit 77
	setfattr -n user.a -v b small || exit 77
	exec sh small.sh "$1"' - "$tests" >out 2>err </dev/null
case $? in
0) ;;
77) missing+=', no tmpfs with attributes' ;;
*) cat out err && fail "on a small tmpfs" ;;
esac

on_ext4() { # OPTIONS OF MOUNT
	rm -f image && truncate -s 24M image && mkfs.ext4 -q -m 0 -N 400 image && mount -o "loop,$1" image small
}
if [ "$(id -u)" -ne 0 ]; then
	missing+=', no loop mounts as this user'
elif ! on_ext4 rw 2>err; then
	missing+=', no loop mounts'
else
	note "a small ext4"
	sh small.sh "$tests" >out 2>err </dev/null || { cat out err && fail "on a small ext4"; }

	note "it may not be written"
	mount -o remount,ro small || fail "remount"
	expect 125 'work directory.*Read-only' -- mounted room-lower small true
	mount -o remount,rw small && rm -rf small/upper small/work && umount small || fail "unmount"
	on_ext4 rw,errors=remount-ro && mkdir small/upper small/work || fail "ext4 again"
	device=$(findmnt -no SOURCE small)
	trigger=/sys/fs/ext4/${device#/dev/}/trigger_fs_error
	if [ -w "$trigger" ]; then
		mounted room-lower small sh -c 'echo kept >>small1 && sync small1 && echo x >"$1" && "$2" read-only . &&
			tail -n 1 small1 | grep -q kept' - "$trigger" "$tests/room" >out 2>err || {
			cat out err
			fail "an upper that becomes read-only"
		}
	else
		missing+=', no way to make ext4 fail'
	fi
	umount small || fail "unmount"
fi

# Disk quotas say EDQUOT, which is in the sweep; a real one needs a kernel and tools that have them.
if [ -n "$missing" ]; then note "not tried: ${missing#, }"; fi
