#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# C sources compiled: all above, below with the objects above, and in the package.
. "$HOST/setup.sh"
build() { ninja -C "$1" -j2 >build.log || { tail build.log; return 1; }; }

cp -r "$HOST/source" source
took ninja build source
took 'ninja, sources below' build "$HOST/source"
build "$PACKAGE/source"
for there in source "$HOST/source" "$PACKAGE/source"; do
	ninja -C "$there" | grep -q 'no work to do'
	result "$(cd "$there" && find out -name '*.o' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum)"
done
test "$(find source/out -name '*.o' | wc -l)" -gt 5
touch "$HOST/source/base/err.h"
build "$HOST/source"
result "$(ninja -C "$HOST/source" -t clean | wc -l)"
