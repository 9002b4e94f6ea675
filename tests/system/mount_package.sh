#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=normal users=root,user timeout=300
# The package mount against the real kernel: the same tree, nothing asked when warm, pages pushed ahead, servers
# killed and replaced under readers, waiting processes that can be killed.
. "$(dirname "$0")/setup.sh"

command -v python3 >/dev/null || skip "python3 is not installed"
[ -w /dev/fuse ] || skip "/dev/fuse may not be opened"
if [ "$(id -u)" -eq 0 ]; then own=(unshare -m); else own=(unshare -Urm); fi
"${own[@]}" true 2>/dev/null || skip "no mount namespace may be made here"

tree=$scratch/tree
mkdir -p "$tree/bin" "$tree/data/deep/er" "$tree/many"
cp /bin/ls /bin/cat /bin/sh "$tree/bin/"
head -c 5000000 /dev/urandom >"$tree/data/random"
head -c 12000000 /dev/urandom >"$tree/data/large"
truncate -s 3000000 "$tree/data/hole"
: >"$tree/data/empty"
ln -s ../bin/ls "$tree/data/deep/link"
ln "$tree/data/random" "$tree/data/deep/er/hard-link"
for i in $(seq 600); do
	echo "file $i" >"$tree/many/a rather long name, so that a listing takes several requests $i"
done
chmod 640 "$tree/many/"*7
expect 0 -- "$floe" sequence -q --from-dir "$tree" --prefix /opt/test --name test -o "$scratch/test.floe"

export XDG_CACHE_HOME=$scratch/cache PYTHONDONTWRITEBYTECODE=1
"${own[@]}" python3 "$(dirname "$0")/mount_package.py" "$tree" "$scratch/test.floe" /opt/test "$scratch" ||
	fail "see above"
