#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=heavy users=user timeout=3600
# What an update costs: two consecutive versions of Debian packages of different kinds (many small files, few big
# binaries, programs with their data, data). Bytes of the bodies that nginx sends, everything of the new version read and
# compared, the old one being there:
#
#   floe     header, index and chunks of the new package in the place of the old one, which is in the cache; then run
#   zsync    the new tar, of which the old tar is there; on the plain tar or on the .tar.gz, whichever is less
#   casync   the new tree, of which the old tree is the seed; with its defaults, or without times and owners, whichever is less
#   xdelta3  no transfer: a patch between the two tars (-9), which somebody would have to make for each pair of versions
#
# FLOE_BENCH_PACKAGES names the packages; the two newest .debs of each come from FLOE_BENCH_DEBS=DIR, or from apt when
# its sources know two versions.
. "$(dirname "$0")/setup.sh"
for tool in dpkg-deb zsync zsyncmake casync xdelta3; do command -v "$tool" >/dev/null || skip "$tool is not installed"; done

packages=${FLOE_BENCH_PACKAGES:-linux-doc-6.1 libreoffice-core inkscape tzdata}
debs=${FLOE_BENCH_DEBS:-}
www=$scratch/www

# two_versions PACKAGE: the files of the older and the newer version.
two_versions() {
	local dir=${debs:-$scratch/debs} version

	if [ -z "$debs" ]; then
		mkdir -p "$dir"
		for version in $(apt-cache madison "$1" 2>/dev/null | cut -d '|' -f 2 | sort -uV | tail -n 2); do
			(cd "$dir" && apt-get -q download "$1=$version") >"$scratch/log" 2>&1
		done
	fi
	find "$dir" -maxdepth 1 -name "${1}_*.deb" | sort -V | tail -n 2
}

sent() { # bytes of bodies since the last call
	sleep 0.2 # nginx writes its log behind the answer
	awk '{ sum += $4 } END { printf "%.0f\n", sum }' "$access_log"
	: >"$access_log"
}

run() { # WHAT COMMAND...
	local what=$1

	shift
	"$@" >"$scratch/log" 2>&1 </dev/null || { tail -n 20 "$scratch/log"; fail "$what"; }
}

make_package() { # NAME
	run "pack $1" "$floe" sequence -q --from-dir "$scratch/$1" --prefix /opt/x --name x --version "$1" --command box=/opt/x/.box \
		-o "$scratch/$1.floe"
}

digests() { # DIR
	(cd "$1" && find . -type f -print0 | sort -z | xargs -0 sha256sum && find . ! -type f -printf '%p %y %l\n' | sort)
}

by_floe() {
	timeout 20 "$floe" stop --all >/dev/null 2>&1
	holder_leave || fail "the holder stays" # it would show what it has mounted from there
	rm -rf "$HOME/.cache/floe" "$scratch/got"
	cp "$scratch/old.floe" "$www/x.floe"
	run "fill old" "$floe" cache fill "$url/x.floe"
	cp "$scratch/new.floe" "$www/.x.floe"
	mv "$www/.x.floe" "$www/x.floe"
	sent >/dev/null
	run "fill new" "$floe" cache fill "$url/x.floe"
	"$floe" run -q --ephemeral "$url/x.floe" -- "$(declare -f digests); digests /opt/x" >"$scratch/got" 2>"$scratch/log" </dev/null ||
		{ cat "$scratch/log"; fail "run new"; }
	digests "$scratch/new" >"$scratch/wanted"
	diff "$scratch/wanted" "$scratch/got" >"$scratch/log" || { head "$scratch/log"; fail "floe brought something else"; }
	sent
}

by_zsync() { # SUFFIX
	(cd "$www" && zsyncmake -u "$url/new.tar$1" -o "$www/new.tar$1.zsync" "new.tar$1") >"$scratch/log" 2>&1 || fail "zsyncmake"
	sent >/dev/null
	(cd "$scratch" && rm -f got.tar* && zsync -i old.tar -o "got.tar$1" "$url/new.tar$1.zsync") >"$scratch/log" 2>&1 ||
		{ tail "$scratch/log"; fail "zsync"; }
	cmp -s "$www/new.tar$1" "$scratch/got.tar$1" || fail "zsync brought something else"
	sent
}

by_casync() { # OPTION...
	rm -rf "$www/store" "$www"/new.caidx "$scratch/got"
	mkdir -p "$scratch/got"
	run "casync make" casync make "$@" --store="$www/store" "$www/new.caidx" "$scratch/new"
	sent >/dev/null
	run "casync extract" casync extract "$@" --store="$url/store" --seed="$scratch/old" --seed-output=no "$url/new.caidx" "$scratch/got"
	diff -r --no-dereference "$scratch/new" "$scratch/got" >"$scratch/log" || fail "casync brought something else"
	sent
}

least() { sort -n | head -n 1; }

row() { # PACKAGE OLD.deb NEW.deb
	local floe_bytes zsync_bytes casync_bytes patch_bytes whole_bytes

	rm -rf "${scratch:?}/old" "$scratch/new" "${www:?}"/*
	dpkg-deb -x "$2" "$scratch/old" && dpkg-deb -x "$3" "$scratch/new" || fail "unpack $1"
	dpkg-deb --fsys-tarfile "$2" >"$scratch/old.tar"
	dpkg-deb --fsys-tarfile "$3" >"$www/new.tar"
	gzip -9nk "$www/new.tar"
	printf '#!/bin/sh\nexec bash -c "$@"\n' | tee "$scratch/old/.box" >"$scratch/new/.box"
	chmod 755 "$scratch/old/.box" "$scratch/new/.box"
	make_package old
	make_package new
	whole_bytes=$(stat -c %s "$scratch/new.floe")
	floe_bytes=$(by_floe) || { echo "$floe_bytes"; exit 1; }
	zsync_bytes=$({ by_zsync "" && by_zsync .gz; } | least)
	casync_bytes=$({ by_casync && by_casync --with=symlinks --with=permissions; } | least)
	run xdelta3 xdelta3 -9 -f -B 536870912 -e -s "$scratch/old.tar" "$www/new.tar" "$scratch/patch"
	patch_bytes=$(stat -c %s "$scratch/patch")
	awk -v what="$1 $(basename "$2" .deb | cut -d _ -f 2), $(basename "$3" .deb | cut -d _ -f 2)" \
		-v files="$(find "$scratch/new" -type f | wc -l)" -v mib="$(du -sm --apparent-size "$scratch/new" | cut -f 1)" \
		-v whole="$whole_bytes" -v floe="$floe_bytes" -v zsync="$zsync_bytes" -v casync="$casync_bytes" -v patch="$patch_bytes" 'BEGIN {
		printf "| %s | %d | %d | %d | %d | %d | %d | %d | %.2f | %.2f |\n", what, files, mib, whole, floe, zsync, casync, patch,
			zsync / floe, casync / floe }'
}

mkdir -p "$www"
serve_dir "$www"
lines=()
for package in $packages; do
	mapfile -t versions < <(two_versions "$package")
	if [ ${#versions[@]} -ne 2 ]; then
		note "$package: no two versions to be had (FLOE_BENCH_DEBS=DIR with both .debs)"
		continue
	fi
	line=$(row "$package" "${versions[@]}") || { echo "$line"; exit 1; }
	note "$line"
	lines+=("$line")
done
echo "| package, versions | files | MiB | whole package | floe | zsync | casync | xdelta3 | zsync / floe | casync / floe |"
echo "|---|---|---|---|---|---|---|---|---|---|"
printf '%s\n' "${lines[@]}"
