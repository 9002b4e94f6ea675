#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every C file is as clang-format leaves it. `tests/structure/format.sh --fix` makes it so.
. "$(dirname "$0")/sources.sh"

if [ "${1:-}" = --fix ]; then
	c_files | xargs clang-format -i
	exit 0
fi
out=$(c_files | xargs -P "$(nproc)" -n 8 clang-format --dry-run -Werror 2>&1) && exit 0
for file in $(printf '%s\n' "$out" | sed -n 's/^\([^: ]*\):[0-9]*:[0-9]*: error.*/\1/p' | sort -u); do
	finding "$file is not formatted (clang-format -i $file)"
done
[ "$findings" -gt 0 ] || finding "$out"
verdict "tests/structure/format.sh --fix mends them"
