#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=normal users=root,user timeout=1500
# Random operations on the union and on a plain directory: every result and the trees agree; again after a remount,
# with the server killed all the time, and across engines: what one engine wrote, the other mounts.
# FLOE_MODEL_OPS (40000; under check --full 1000000), FLOE_SEED.
. "$(dirname "$0")/setup.sh"

mount=$FLOE_BUILD/tests/union/union_mount
model=$FLOE_BUILD/tests/union/union_model
[ -x "$mount" ] && [ -x "$model" ] || fail "there is no $mount or $model"
ops=${FLOE_MODEL_OPS:-$([ "${FLOE_FULL:-0}" = 1 ] && echo 1000000 || echo 40000)}
seed=${FLOE_SEED:-$((RANDOM * 32768 + RANDOM))}
echo "seed $seed, $ops operations"
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0 # its search needs a /proc of the same PID namespace

fresh() {
	chmod -R u+rwX "$scratch/m" 2>/dev/null
	rm -rf "$scratch/m"
	mkdir -p "$scratch/m/lower" "$scratch/m/upper" "$scratch/m/work" "$scratch/m/target"
	"$model" prepare "$scratch/m/lower" --seed "$seed" || fail "prepare"
	cp -a "$scratch/m/lower" "$scratch/m/plain"
}

on() { # ENGINE [OPTIONS OF union_mount...] -- COMMAND...
	local engine=$1 options=()

	shift
	while [ "$1" != -- ]; do options+=("$1") && shift; done
	shift
	"$mount" --engine "$engine" ${options[@]+"${options[@]}"} --lower "$scratch/m/lower" --upper "$scratch/m/upper" \
		--work "$scratch/m/work" "$scratch/m/target" -- "$@" 2>"$err" || { tail -n 60 "$err"; fail "$engine: $*"; }
}
run() { # ENGINE OPERATIONS [OPTIONS...]
	local engine=$1 count=$2

	shift 2
	on "$engine" -- "$model" run . "$scratch/m/plain" --ops "$count" --seed "$seed" "$@"
}
compare() { on "$1" -- "$model" compare . "$scratch/m/plain"; }
features() { getfattr -h --absolute-names --only-values -n user.floe.features "$scratch/m/upper" 2>/dev/null; }

note "fuse, several threads"
fresh
run fuse "$ops" --threads 4
compare fuse
run fuse $((ops / 10)) # on what is there
compare fuse
if [ -n "$(features)" ]; then note "features in use: $(features)"; else fail "a union without a single redirect?"; fi

note "fuse, killed every 50 ms"
fresh
on fuse --kill-every 50 -- "$model" run . "$scratch/m/plain" --ops $((ops / 4)) --seed "$seed" --threads 2
grep -E 'kills$' "$err"
compare fuse

# Kernel overlayfs is both rival and oracle: the same upper, written by one and read by the other.
note "overlay"
fresh
run overlay $((ops / 2)) --overlay
compare overlay
note "an upper of overlay's, by fuse"
compare fuse
run fuse $((ops / 4)) --overlay
compare fuse
if [ -z "$(features)" ]; then
	note "and by overlay again"
	compare overlay
	run overlay $((ops / 4)) --overlay
	compare overlay
else
	fail "features $(features) without need"
fi
