#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=normal users=root,user timeout=3600
# The union's engines side by side on the same work: plain ext4 (or what TMPDIR is on), kernel overlayfs, floe's
# fuse engine, fuse-overlayfs. Everyone takes turns in every round; each round begins with an empty upper. The
# clock runs inside. FLOE_BENCH_ROUNDS (5), FLOE_BENCH_ENGINES, FLOE_BENCH_ROWS (a regular expression).
. "$(dirname "$0")/setup.sh"

rounds=${FLOE_BENCH_ROUNDS:-5}
engines=${FLOE_BENCH_ENGINES:-plain overlay fuse}
if [ -z "${FLOE_BENCH_ENGINES:-}" ] && command -v fuse-overlayfs >/dev/null; then engines+=" fuse-overlayfs"; fi
export FLOE_BENCH_ROWS=${FLOE_BENCH_ROWS:-.}
tool=$FLOE_BUILD/tests/union/union_mount
[ -x "$tool" ] || fail "there is no $tool"

# ---- what lies below: 100,000 files, a repository, sources
lower=$scratch/lower
mkdir -p "$lower"
python3 - "$lower" <<'PY'
import os, sys
top = sys.argv[1] + "/many"
for d in range(500):
    path = f"{top}/{d % 20}/{d}"
    os.makedirs(path)
    for f in range(200):
        with open(f"{path}/file{f}", "wb") as out:
            out.write(b"x" * (f % 50))
top = sys.argv[1] + "/repo"
for d in range(80):
    os.makedirs(f"{top}/d{d}")
    for f in range(100):
        with open(f"{top}/d{d}/f{f}", "w") as out:
            out.write(f"{d} {f}\n" * 20)
PY
if command -v git >/dev/null; then
	(cd "$lower/repo" && git init -q . && git config user.email a@example.org && git config user.name a &&
		git add . && git commit -qm all) >/dev/null
fi
if [ -d "${FLOE_SOURCE:-}" ] && command -v ninja >/dev/null; then
	mkdir "$lower/source" && cp -r "$FLOE_SOURCE"/base "$FLOE_SOURCE"/vfs "$lower/source/"
	{
		echo 'rule cc'
		echo ' command = gcc -O1 -std=c17 -D_GNU_SOURCE -DFLOE_VERSION=\"0\" -MD -I. -c $in -o $out'
		for f in "$lower"/source/base/*.c "$lower"/source/vfs/u*.c; do
			f=${f#"$lower/source/"}
			echo "build out/${f%.c}.o: cc $f"
		done
	} >"$lower/source/build.ninja"
fi
mkdir "$scratch/archive"
for d in $(seq 80); do
	mkdir "$scratch/archive/$d"
	for f in $(seq 100); do head -c $((RANDOM % 4000)) /dev/urandom >"$scratch/archive/$d/$f"; done
done
tar -C "$scratch" -cf "$scratch/archive.tar" archive
rm -rf "$scratch/archive"

# ---- the work: prints "ROW MILLISECONDS"
cat >"$scratch/work.sh" <<'WORK'
set -e
row() { # NAME COMMAND...
	local name=$1 begin end
	shift
	[[ $name =~ $FLOE_BENCH_ROWS ]] || return 0
	begin=$(date +%s%N)
	"$@" >/dev/null 2>&1 || { echo "$name failed"; exit 1; }
	end=$(date +%s%N)
	echo "$name $(((end - begin) / 1000))"
}
random_reads() {
	python3 -c 'import os, random
random.seed(1)
fd = os.open("big", os.O_RDONLY)
size = os.fstat(fd).st_size
for _ in range(50000): os.pread(fd, 4096, random.randrange(size // 4096) * 4096)'
}
small_writes() { dd if=/dev/zero of=small bs=4k count=50000; }
row find-cold find many -type f -size +1000
row find-warm find many -type f -size +1000
row unpack tar -xf "$ARCHIVE"
row remove rm -rf archive
[ ! -d repo/.git ] || { row git-status-cold git -C repo status; row git-status-warm git -C repo status; }
row writes-4k small_writes
row write-1g dd if=/dev/zero of=big bs=1M count=1024
row read-1g dd if=big of=/dev/null bs=1M
row random-reads random_reads
rm -f big small
[ ! -d source ] || row ninja ninja -C source -j2
WORK

run_engine() { # ENGINE
	local dir=$scratch/run

	rm -rf "$dir" && mkdir -p "$dir/upper" "$dir/work" "$dir/target"
	export ARCHIVE=$scratch/archive.tar
	case $1 in
	plain)
		cp -a "$lower/." "$dir/target/" && sync -f "$dir" && echo 3 2>/dev/null >/proc/sys/vm/drop_caches
		(cd "$dir/target" && bash "$scratch/work.sh")
		;;
	fuse-overlayfs)
		# shellcheck disable=SC2016
		unshare ${UNSHARE:--m} bash -c 'fuse-overlayfs -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/target" &&
			cd "$2/target" && bash "$3"; s=$?; cd / && fusermount3 -u "$2/target" 2>/dev/null || umount -l "$2/target"; exit $s' \
			- "$lower" "$dir" "$scratch/work.sh"
		;;
	*)
		"$tool" --engine "$1" --lower "$lower" --upper "$dir/upper" --work "$dir/work" "$dir/target" -- \
			bash "$scratch/work.sh"
		;;
	esac || fail "$1 does not do it"
	sync -f "$scratch"
}

[ "$(id -u)" = 0 ] || UNSHARE=-Urm
: >"$scratch/all"
for round in $(seq "$rounds"); do
	for engine in $engines; do
		run_engine "$engine" >"$scratch/one" || { cat "$scratch/one"; exit 1; }
		sed "s/^/$engine /" "$scratch/one" >>"$scratch/all"
	done
	note "round $round of $rounds"
done

awk '
	function median(key,   n, i, j, t, v) {
		n = count[key]
		for (i = 1; i <= n; i++) v[i] = value[key, i]
		for (i = 2; i <= n; i++) for (j = i; j > 1 && v[j - 1] > v[j]; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
		return n ? v[int((n + 1) / 2)] / 1000 : 0
	}
	!($2 in seen) { seen[$2] = 1; rows[++row_count] = $2 }
	{ key = $1 SUBSEP $2; value[key, ++count[key]] = $3 }
	END {
		printf "%-16s %10s %16s %16s %20s %12s\n", "row (median)", "plain ms", "overlay/plain", "fuse/plain", "fuse-overlayfs/plain", "fuse gain"
		for (r = 1; r <= row_count; r++) {
			p = median("plain" SUBSEP rows[r]); o = median("overlay" SUBSEP rows[r])
			f = median("fuse" SUBSEP rows[r]); x = median("fuse-overlayfs" SUBSEP rows[r])
			printf "%-16s %10.1f %16.2f %16.2f %20.2f %12.2f\n", rows[r], p, p ? o / p : 0, p ? f / p : 0, p ? x / p : 0, f ? x / f : 0
		}
	}' "$scratch/all"
