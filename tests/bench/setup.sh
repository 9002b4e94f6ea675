# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Paired measurements: A and B take turns, so that a busy machine hits both. Read by `.` after which all of
# tests/system/setup.sh is there as well. Benchmarks print and never fail on a figure.
. "$(dirname "${BASH_SOURCE[0]}")/../system/setup.sh"

# paired WHAT PAIRS NAME-A FUNCTION-A NAME-B FUNCTION-B: medians in ms, ratio B/A with its quartiles. Both are run
# once before, unmeasured.
paired() {
	local what=$1 pairs=$2 name_a=$3 a=$4 name_b=$5 b=$6 begin middle end

	"$a" >/dev/null 2>&1 || fail "$what: $name_a does not work"
	"$b" >/dev/null 2>&1 || fail "$what: $name_b does not work"
	: >"$scratch/pairs"
	for _ in $(seq "$pairs"); do
		begin=$(date +%s%N)
		"$a" >/dev/null 2>&1
		middle=$(date +%s%N)
		"$b" >/dev/null 2>&1
		end=$(date +%s%N)
		echo "$((middle - begin)) $((end - middle))" >>"$scratch/pairs"
	done
	awk -v what="$what" -v a="$name_a" -v b="$name_b" '
		function sort(v, n,   i, j, t) {
			for (i = 2; i <= n; i++) for (j = i; j > 1 && v[j - 1] > v[j]; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
		}
		{ x[NR] = $1 / 1e6; y[NR] = $2 / 1e6; r[NR] = $2 / $1 }
		END {
			sort(x, NR); sort(y, NR); sort(r, NR); m = int((NR + 1) / 2)
			printf "%s: %s %.1f ms, %s %.1f ms, ratio %.2f (quartiles %.2f to %.2f, %d pairs)\n",
				what, a, x[m], b, y[m], r[m], r[int((NR + 3) / 4)], r[int((3 * NR + 3) / 4)], NR
		}' "$scratch/pairs"
}
