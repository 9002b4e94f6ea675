#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=heavy users=root,user timeout=2400
# apt-get install of about 100 MB of packages in a session, under both engines: the same files in the package, and how
# long each took. Times are printed and decide nothing.
. "$(dirname "$0")/setup.sh"

command -v apt-get >/dev/null || skip "no apt-get here"

debs_of() { # PACKAGE: what installing it would bring
	apt-get -s install -y --no-install-recommends "$1" 2>/dev/null | sed -n 's/^Inst \([^ ]*\).*/\1/p'
}
pick() {
	local package

	for package; do
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed' && continue
		apt-cache policy "$package" 2>/dev/null | grep -q 'Candidate: [0-9]' && echo "$package" && return
	done
	return 1
}
mkdir "$scratch/debs"
package=$(pick libreoffice-core golang-1.19-go ghc openjdk-17-jdk-headless) || skip "nothing large to install: apt-get update?"
mapfile -t names < <(debs_of "$package")
(cd "$scratch/debs" && apt-get download -q "${names[@]}") >"$scratch/download" 2>&1 || skip "cannot download $package: $(tail -n 1 "$scratch/download")"
note "$package: ${#names[@]} packages, $(du -cm "$scratch"/debs/*.deb | tail -n 1 | cut -f 1) MB, $(for d in "$scratch"/debs/*.deb; do dpkg-deb --fsys-tarfile "$d" | tar -t; done | wc -l) files"

engines=(fuse overlay)
"$floe" sequence -q --engine overlay -o "$scratch/probe.floe" -- touch /opt/x >"$scratch/probe" 2>&1 || engines=(fuse)
cat >"$scratch/install.sh" <<SH
begin=\$(date +%s%N)
apt-get install -y -q --no-install-recommends --allow-downgrades $scratch/debs/*.deb || exit
echo "took \$(((\$(date +%s%N) - begin) / 1000000)) ms"
SH
export SOURCE_DATE_EPOCH=1700000000
for engine in "${engines[@]}"; do
	expect 0 -- "$floe" sequence --level 1 --engine "$engine" -o "$scratch/$engine.floe" --name heavy --version 1 \
		--report "$scratch/$engine.json" -- sh "$scratch/install.sh"
	note "engine $engine: the installer $(grep '^took' "$out"), $(sed -n 's/^Taken: //p' "$out")"
	"$floe" ls -lR "$scratch/$engine.floe" | LC_ALL=C sort >"$scratch/$engine.list"
	[ "$(wc -l <"$scratch/$engine.list")" -gt 1000 ] || fail "hardly anything was installed"
done
if [ "${#engines[@]}" = 2 ]; then
	diff "$scratch/overlay.list" "$scratch/fuse.list" || fail "the engines' packages differ"
fi
