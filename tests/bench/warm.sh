#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=heavy users=user timeout=1800
# Reading a large file from front to back, FLOE_BENCH_MIB=1024 MiB that do not compress: through the mounted package, whose
# content is in floe's cache, next to the same file on the disk's own file system. In turns, FLOE_BENCH_RUNS=7 rounds; before
# each the kernel's copies are dropped, of the cache, of the mounted file and of the plain one. Also from a package in a local file.
. "$(dirname "$0")/setup.sh"
mib=${FLOE_BENCH_MIB:-1024}
runs=${FLOE_BENCH_RUNS:-7}

# read_file FILE: MiB/s of reading it, none of it in memory. Also said to the shell inside.
read_file() {
	local begin

	dd if="$1" iflag=nocache count=0 2>/dev/null
	begin=$(date +%s%N)
	dd if="$1" of=/dev/null bs=1M 2>/dev/null || exit 1
	echo $(($(stat -Lc %s "$1") * 1000 / (($(date +%s%N) - begin) / 1000) * 1000 >> 20))
}

drop() { # FILE
	sync "$1"
	dd if="$1" iflag=nocache count=0 2>/dev/null
}

from_package() { # REF FILE-IN-HERE
	drop "$2"
	"$floe" run -q --ephemeral "$1" -- "$(declare -f read_file); read_file /opt/x/data" 2>"$scratch/log" </dev/null ||
		{ cat "$scratch/log"; fail "run $1"; }
}

spread() { # FILE: median (quartiles)
	sort -n "$1" | awk '{ v[NR] = $1 } END { printf "%d (%d to %d)", v[int((NR + 1) / 2)], v[int((NR + 3) / 4)], v[int((3 * NR + 3) / 4)] }'
}

www=$scratch/www
mkdir -p "$www" "$scratch/tree"
head -c $((mib << 20)) /dev/urandom >"$scratch/tree/data"
printf '#!/bin/sh\nexec bash -c "$@"\n' >"$scratch/tree/box"
chmod 755 "$scratch/tree/box"
"$floe" sequence -q --level 1 --from-dir "$scratch/tree" --prefix /opt/x --name x --command box=/opt/x/box -o "$www/x.floe" \
	>"$scratch/log" 2>&1 || { cat "$scratch/log"; fail "sequence"; }
serve_dir "$www"
"$floe" cache fill "$url/x.floe" >"$scratch/log" 2>&1 || { cat "$scratch/log"; fail "fill"; }
for round in $(seq 0 "$runs"); do
	drop "$scratch/tree/data"
	plain=$(read_file "$scratch/tree/data")
	cached=$(from_package "$url/x.floe" "$HOME/.cache/floe/chunks.dat") || { echo "$cached"; exit 1; }
	stored=$(from_package "$www/x.floe" "$www/x.floe") || { echo "$stored"; exit 1; }
	[ "$round" != 0 ] || continue # to warm up
	echo "$plain" >>"$scratch/plain"
	echo "$cached" >>"$scratch/cached"
	echo "$stored" >>"$scratch/stored"
	echo $((cached * 100 / plain)) >>"$scratch/cached.ratio"
	echo $((stored * 100 / plain)) >>"$scratch/stored.ratio"
done
echo "file system: $(spread "$scratch/plain") MiB/s"
echo "cache: $(spread "$scratch/cached") MiB/s, $(spread "$scratch/cached.ratio") % of the file system"
echo "package in a local file: $(spread "$scratch/stored") MiB/s, $(spread "$scratch/stored.ratio") % of the file system"
