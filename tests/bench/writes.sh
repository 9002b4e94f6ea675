#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=normal users=root,user timeout=900
# Writing inside an environment next to writing natively: unpacking 8,000 small files, and a build of a real C
# project (floe's own sources). The clock runs inside, so that the start is not counted.
. "$(dirname "$0")/setup.sh"

make_box 1
mkdir "$scratch/many"
for d in $(seq 80); do
	mkdir "$scratch/many/$d"
	for f in $(seq 100); do head -c $((RANDOM % 4000)) /dev/urandom >"$scratch/many/$d/$f"; done
done
tar -C "$scratch" -cf "$home/many.tar" many
rm -rf "$scratch/many"

unpack='d=$(mktemp -d "$HOME/unpack.XXXXXX") && tar -C "$d" -xf "$HOME/many.tar" && sync -f "$d"'
build='d=$(mktemp -d "$HOME/build.XXXXXX") && cp -r "$HOME/source/." "$d" && cd "$d" && for f in base/*.c vfs/u*.c; do
	gcc -O1 -std=c17 -D_GNU_SOURCE -DFLOE_VERSION=\"0\" -I. -c "$f" -o "$(basename "$f").o" || exit 1; done && ar rc all.a ./*.o'
timed() { # SCRIPT: milliseconds, then it cleans up
	printf 'b=$(date +%%s%%N); { %s; } >/dev/null 2>&1 || { echo failed; exit 1; }; e=$(date +%%s%%N); echo $(((e-b)/1000000)); rm -rf "$d"' "$1"
}
compare() { # WHAT PAIRS SCRIPT
	local native inside

	: >"$scratch/pairs"
	bash -c "$(timed "$3")" >/dev/null || fail "$1, natively"
	in_box bench-writes bash -c "$(timed "$3")" >/dev/null || fail "$1, inside"
	for _ in $(seq "$2"); do
		native=$(bash -c "$(timed "$3")")
		inside=$(in_box bench-writes bash -c "$(timed "$3")")
		echo "$native $inside" >>"$scratch/pairs"
	done
	sort -n "$scratch/pairs" | awk -v what="$1" '{ n[NR] = $1; i[NR] = $2; r[NR] = $2 / $1 }
		END { asort_(r, NR); asort_(n, NR); asort_(i, NR); m = int((NR + 1) / 2)
			printf "%s: native %d ms, floe %d ms, ratio %.2f (from %.2f to %.2f, %d pairs)\n", what, n[m], i[m], r[m], r[1], r[NR], NR }
		function asort_(v, c,   a, b, t) { for (a = 2; a <= c; a++) for (b = a; b > 1 && v[b-1] > v[b]; b--) { t = v[b]; v[b] = v[b-1]; v[b-1] = t } }'
}

compare "unpack 8,000 small files" 7 "$unpack"
if [ -d "${FLOE_SOURCE:-}" ] && command -v gcc >/dev/null; then
	mkdir "$home/source" && cp -r "$FLOE_SOURCE"/. "$home/source/"
	compare "build of a C project" 5 "$build"
fi
