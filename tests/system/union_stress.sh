#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=heavy users=root,user timeout=2400
# Random work on each union engine, and on a plain directory: one file against its image in memory (fsx), several
# processes in one tree (stress), on lower layers that have something and on empty ones, also while the server is
# killed all the time. Afterwards the tree can be listed, exactly, and removed, and nothing half made is left.
. "$(dirname "$0")/setup.sh"

tests=$FLOE_BUILD/tests/union
[ -x "$tests/union_mount" ] || fail "there is no $tests/union_mount"
seed=${FLOE_SEED:-$((RANDOM * 32768 + RANDOM))}
fsx_ops=${FLOE_OPS:-15000} stress_ops=${FLOE_OPS:-2500}
[ "${FLOE_FULL:-0}" != 1 ] || fsx_ops=150000 stress_ops=25000
note "FLOE_SEED=$seed"
cd "$scratch" || exit 1
mkdir empty fsx-lower stress-lower target
"$tests/fsx" make fsx-lower || fail "the lower layer of fsx"
"$tests/stress" make stress-lower || fail "the lower layer of stress"

# mounted ENGINE LOWER MOUNT-OPTIONS -- COMMAND...
mounted() {
	local options=() status=0 engine=$1 lower=$2

	shift 2
	while [ "$1" != -- ]; do options+=("$1") && shift; done
	shift
	[ "$engine" = plain ] || options+=(--lower "$lower" --upper upper --work work)
	timeout -k 10 400 "$tests/union_mount" --engine "$engine" ${options[@]+"${options[@]}"} target -- "$@" \
		>out 2>err </dev/null || status=$?
	cat out
	[ "$status" = 0 ] && return
	grep -q 'built without' err && return
	cat err
	fail "status $status: $* on $engine over $lower: FLOE_SEED=$seed"
}

nothing_half_made() {
	local left

	left=$(find work/tmp work/orphans work/trash -mindepth 1 2>/dev/null)
	[ -z "$left" ] || { echo "$left"; fail "left in the work directory after $1"; }
}

on() { # LABEL ENGINE LOWER? MOUNT-OPTIONS...
	local label=$1 engine=$2 lower=$3 extra=()

	shift 3
	note "$label"
	[ "$engine" != overlay ] || extra=(--overlay)
	for kind in fsx stress; do
		[ "$lower" = empty ] || lower=$kind-lower
		chmod -R u+rwX upper work 2>/dev/null
		rm -rf upper work && mkdir upper work || fail "the upper"
		if [ "$kind" = fsx ]; then
			mounted "$engine" "$lower" "$@" -- "$tests/fsx" run . --ops "$fsx_ops" --seed "$seed"
			[ "$engine" != plain ] || find target -mindepth 1 -delete
			continue
		fi
		mounted "$engine" "$lower" "$@" -- "$tests/stress" run . --ops "$stress_ops" --seed "$seed" ${extra[@]+"${extra[@]}"}
		mounted "$engine" "$lower" -- "$tests/stress" walk .
		nothing_half_made "$label"
		mounted "$engine" "$lower" -- "$tests/stress" remove .
		[ "$engine" = plain ] || mounted "$engine" "$lower" -- "$tests/stress" walk .
		nothing_half_made "removing on $label"
	done
}

# The first look at the root comes while servers die and their successors tell the kernel what to forget.
note 'entered while killed'
mkdir upper work
for ((i = 0; i < 60; i++)); do
	mounted fuse empty --kill-every 1 -- sleep 0.02
done

on plain plain empty
on overlay overlay both
on 'overlay, nothing below' overlay empty
on fuse fuse both
on 'fuse, nothing below' fuse empty
on 'fuse, killed' fuse both --kill-every 100
on 'fuse, nothing below, killed' fuse empty --kill-every 100
[ "${FLOE_FULL:-0}" != 1 ] || on 'fuse, killed often' fuse both --kill-every 25
