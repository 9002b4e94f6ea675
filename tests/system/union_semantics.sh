#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=normal users=root,user timeout=900
# Each union engine does what an ordinary file system does, apart from the differences that tests/union lists:
# small cases and tables of system calls on a plain directory, on overlayfs and on floe's own union, there also
# while its server is killed all the time, and as pretended root. Then the same union is mounted anew. (The tables
# under kills, and as pretended root: under check --full.)
. "$(dirname "$0")/setup.sh"

tests=$FLOE_BUILD/tests/union
[ -x "$tests/union_mount" ] || fail "there is no $tests/union_mount"
failed=''

# on LABEL ENGINE PROGRAM [MOUNT OPTIONS]: in fresh layers; the second mount sees what `after` looks at
on() {
	local label=$1 engine=$2 program=$3 dir=$scratch/$1.$3 status phase

	shift 3
	note "$program on $label"
	mkdir -p "$dir"/{top,bottom,upper,work,target,notes}
	case $engine in
	plain) "$tests/$program" --make merged "$dir/target" || fail "the layers" ;;
	*) "$tests/$program" --make top "$dir/top" && "$tests/$program" --make bottom "$dir/bottom" || fail "the layers" ;;
	esac
	local layers=(--lower "$dir/top" --lower "$dir/bottom" --upper "$dir/upper" --work "$dir/work")
	local inside=(--engine "$engine" --upper "$dir/upper" --notes "$dir/notes")

	[ "$engine" != plain ] || { layers=() && inside=(--engine plain --notes "$dir/notes"); }
	for phase in '' --after; do
		[ "$program$phase" != posix--after ] || continue
		status=0
		timeout -k 10 300 "$tests/union_mount" --engine "$engine" "${layers[@]}" "$@" "$dir/target" -- \
			"$tests/$program" "${inside[@]}" $phase "$dir/target" >"$dir/out" 2>"$dir/err" </dev/null || status=$?
		if [ "$status" = 77 ] && grep -q 'built without' "$dir/err"; then
			note "no such engine in this build"
			return
		fi
		grep -a -v '^PASS' "$dir/out"
		cat "$dir/err"
		[ "$status" = 0 ] || failed+=" $label/$program$phase($status)"
	done
	chmod -R u+rwX "$dir" 2>/dev/null
	rm -rf --one-file-system "$dir"
}

for program in semantics posix; do
	on plain plain "$program"
	on overlay overlay "$program"
	on fuse fuse "$program"
	[ "$program" = semantics ] || [ "${FLOE_FULL:-0}" = 1 ] || continue
	on fuse-killed fuse "$program" --kill-every 100
	if [ "$(id -u)" -ne 0 ]; then
		on overlay-as-root overlay "$program" --root
		on fuse-as-root fuse "$program" --root --map-owners
	fi
done
[ -z "$failed" ] || fail "$failed"
