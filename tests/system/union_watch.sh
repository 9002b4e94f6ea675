#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=quick users=root,user timeout=200
# What the host changes by itself shows in the union at once, whether the kernel knew it or not, also after the
# server has been killed. Nothing here would show within the time given if it were not told.
. "$(dirname "$0")/setup.sh"

mount=$FLOE_BUILD/tests/union/union_mount
[ -x "$mount" ] || fail "there is no $mount"
mkdir -p "$scratch/lower/d/e" "$scratch/upper" "$scratch/work" "$scratch/target"
case $(stat -f -c %T "$scratch") in
ext2/ext3 | xfs | btrfs | tmpfs | f2fs) ;;
*) skip "files of $(stat -f -c %T "$scratch") are not watched" ;;
esac

cat >"$scratch/inside.sh" <<'INSIDE'
host=$1
expect() { # WHAT WANTED COMMAND...: at last
	local what=$1 wanted=$2 got i
	shift 2
	for i in $(seq 150); do
		got=$("$@" 2>/dev/null | tr '\n' ' ')
		[ "$got" = "$wanted" ] && return
		sleep 0.1
	done
	echo "$what: \"$got\" instead of \"$wanted\""
	exit 1
}
look() { stat d d/e d/f d/none >/dev/null 2>&1; ls -l d d/e >/dev/null 2>&1; cat d/f d/e/deep >/dev/null 2>&1; }
round() {
	rm -rf "$host/old"
	look; echo changed >"$host/d/f"; expect content "changed " cat d/f; expect size "8 " stat -c %s d/f
	look; chmod 640 "$host/d/f"; expect mode "640 " stat -c %a d/f
	look; echo new >"$host/d/none"; expect "a new file" "new " cat d/none; expect "the list" "e f none " ls d
	look; rm "$host/d/none"; expect "a deleted file" "" cat d/none; expect "the list" "e f " ls d
	look; mv "$host/d/f" "$host/d/g"; expect "a moved file" "changed " cat d/g; expect "its old name" "" cat d/f
	look; echo f >"$host/d/f.new"; mv "$host/d/f.new" "$host/d/f"; expect "a replaced file" "f " cat d/f; rm "$host/d/g"
	look; exec 7<d/f; echo more >>"$host/d/f"; expect "a file that grows" "7 " stat -c %s d/f
	[ "$(cat <&7 | tr '\n' ' ')" = "f more " ] || { echo "open files do not grow"; exit 1; }
	look; mv "$host/d" "$host/old"; mkdir -p "$host/d/e"; echo other >"$host/d/e/deep"; echo f >"$host/d/f"
	expect "below a replaced directory" "other " cat d/e/deep; expect "where it went" "deep " cat old/e/deep
	rm -r "$host/d/e/deep"; expect "empty" "" ls d/e
	echo deep >"$host/d/e/deep"; expect "filled again" "deep " cat d/e/deep
	# What is ours stays ours.
	echo ours >d/e/own; echo theirs >"$host/d/e/own"; look
	[ "$(cat d/e/own)" = ours ] || { echo "the host shows through"; exit 1; }
	rm -f "$host/d/e/own" d/e/own
}
for i in $(seq "$2"); do round; done
INSIDE

run() { # OPTIONS...
	rm -rf "$scratch/lower" "$scratch/upper" "$scratch/work"
	mkdir -p "$scratch/lower/d/e" "$scratch/upper" "$scratch/work"
	echo f >"$scratch/lower/d/f" && echo deep >"$scratch/lower/d/e/deep"
	"$mount" --engine fuse "$@" --lower "$scratch/lower" --upper "$scratch/upper" --work "$scratch/work" "$scratch/target" -- \
		bash "$scratch/inside.sh" "$scratch/lower" 3 || fail "see above"
}
note "undisturbed"
run
note "killed every 100 ms"
run --kill-every 100
