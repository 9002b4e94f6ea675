#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=heavy users=root timeout=3000
# Size, time and memory of packing the same trees by floe, mksquashfs (zstd, level 19) and mkfs.erofs (its densest
# compression here: lzma where it is built in, else lz4hc; in pieces of 1 MiB, with and without fragments and
# deduplication, whichever is less). Trees: many small texts, an application, a Python library, from apt. FLOE_BENCH_TREES
# names directories instead ("/usr/share/doc /usr/lib/gcc"), FLOE_BENCH_PACKAGES other packages.
. "$(dirname "$0")/setup.sh"

for tool in mksquashfs mkfs.erofs; do command -v "$tool" >/dev/null || skip "$tool is not installed"; done
[ -x /usr/bin/time ] || skip "time is not installed"
packages=${FLOE_BENCH_PACKAGES:-linux-doc-6.1 inkscape python3-sympy}
trees=${FLOE_BENCH_TREES:-}
lines=()

# measured OUT COMMAND...: bytes, seconds, MiB of memory.
measured() {
	local made=$1 seconds kib

	shift
	rm -f "$made"
	/usr/bin/time -o "$scratch/time" -f '%e %M' "$@" >"$scratch/log" 2>&1 || { tail -n 5 "$scratch/log"; fail "$1"; }
	read -r seconds kib <"$scratch/time"
	echo "$(stat -c %s "$made") $seconds $((kib / 1024))"
}

erofs_kind=lz4hc,12
! mkfs.erofs --help 2>&1 | grep -q 'compressors.*lzma' || erofs_kind=lzma,9

by_erofs() { # TREE
	measured "$scratch/p.erofs" mkfs.erofs "-z$erofs_kind" -C1048576 "$scratch/p.erofs" "$1" &&
		measured "$scratch/p.erofs" mkfs.erofs "-z$erofs_kind" -C1048576 -Efragments,dedupe,ztailpacking "$scratch/p.erofs" "$1"
}

row() { # WHAT TREE
	local floe_took squashfs_took erofs_took

	if ! floe_took=$(measured "$scratch/p.floe" "$floe" sequence -q --from-dir "$2" --prefix /opt/x --name x -o "$scratch/p.floe") ||
		! squashfs_took=$(measured "$scratch/p.sq" mksquashfs "$2" "$scratch/p.sq" -comp zstd -Xcompression-level 19 -noappend -quiet -no-progress) ||
		! erofs_took=$(by_erofs "$2"); then
		echo "$floe_took ${squashfs_took:-} ${erofs_took:-}"
		exit 1
	fi
	erofs_took=$(sort -n <<<"$erofs_took" | head -n 1)
	awk -v what="$1" -v files="$(find "$2" -type f | wc -l)" -v mib="$(du -sm --apparent-size "$2" | cut -f 1)" \
		-v took="$floe_took $squashfs_took $erofs_took" 'BEGIN {
		split(took, t)
		printf "| %s | %d | %d |", what, files, mib
		for (i = 1; i <= 7; i += 3) printf " %.2f MB, %.1f s, %d MiB |", t[i] / 1e6, t[i + 1], t[i + 2]
		printf " %.3f | %.3f |\n", t[1] / t[4], t[1] / t[7] }'
}

take() { # WHAT TREE
	local line

	line=$(row "$1" "$2") || { echo "$line"; exit 1; }
	note "$line"
	lines+=("$line")
}

if [ -n "$trees" ]; then
	for tree in $trees; do
		cp -a "$tree" "$scratch/tree" # as it is now
		take "$tree" "$scratch/tree"
		rm -rf "$scratch/tree"
	done
else
	for package in $packages; do
		mkdir -p "$scratch/deb" "$scratch/tree"
		(cd "$scratch/deb" && apt-get -q download "$package") >"$scratch/log" 2>&1 || { note "$package: cannot be had"; continue; }
		dpkg-deb -x "$scratch"/deb/*.deb "$scratch/tree" || fail "unpack $package"
		take "$package" "$scratch/tree"
		rm -rf "$scratch/deb" "$scratch/tree"
	done
fi
echo "| tree | files | MiB | floe: size, time, memory | squashfs, zstd 19 | erofs, $erofs_kind | floe / squashfs | floe / erofs |"
echo "|---|---|---|---|---|---|---|---|"
printf '%s\n' "${lines[@]}"
