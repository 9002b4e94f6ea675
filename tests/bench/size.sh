#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=heavy users=root timeout=3000
# Size, time and memory of packing the same trees by floe, mksquashfs (zstd, level 19) and mkfs.erofs (lz4hc, or lzma
# where it is built in). Trees: many small texts, an application, a Python library. From apt; FLOE_BENCH_PACKAGES names others.
. "$(dirname "$0")/setup.sh"

command -v mksquashfs >/dev/null || skip "mksquashfs is not installed"
packages=${FLOE_BENCH_PACKAGES:-linux-doc-6.1 inkscape python3-sympy}

# measured NAME OUT COMMAND...: bytes, seconds, memory.
measured() {
	local name=$1 made=$2

	shift 2
	if ! /usr/bin/time -o "$scratch/time" -f '%e %M' "$@" >"$scratch/log" 2>&1; then
		note "$name: $(tail -n 1 "$scratch/log")"
		return 1
	fi
	read -r seconds kib <"$scratch/time"
	printf '  %-9s %12d bytes  %7.1f s  %5d MiB\n' "$name" "$(stat -c %s "$made")" "$seconds" $((kib / 1024))
}

erofs_kind=lz4hc,12
mkfs.erofs --help 2>&1 | grep -q 'compressors.*lzma' && erofs_kind=lzma,9
for package in $packages; do
	mkdir -p "$scratch/deb" "$scratch/tree"
	(cd "$scratch/deb" && apt-get -q download "$package") >"$scratch/log" 2>&1 || { note "$package: cannot be had"; continue; }
	dpkg-deb -x "$scratch"/deb/*.deb "$scratch/tree" || fail "unpack $package"
	echo "$package: $(find "$scratch/tree" -type f | wc -l) files, $(du -sm --apparent-size "$scratch/tree" | cut -f1) MiB"
	measured floe "$scratch/p.floe" "$floe" sequence -q --from-dir "$scratch/tree" --prefix /opt/x --name x -o "$scratch/p.floe"
	measured squashfs "$scratch/p.sq" mksquashfs "$scratch/tree" "$scratch/p.sq" -comp zstd -Xcompression-level 19 -noappend -quiet -no-progress
	if command -v mkfs.erofs >/dev/null; then
		measured erofs "$scratch/p.erofs" mkfs.erofs "-z$erofs_kind" -C1048576 -Efragments,dedupe,ztailpacking "$scratch/p.erofs" "$scratch/tree" ||
			measured erofs "$scratch/p.erofs" mkfs.erofs "-z$erofs_kind" "$scratch/p.erofs" "$scratch/tree"
	fi
	rm -rf "$scratch/deb" "$scratch/tree" "$scratch"/p.*
done
