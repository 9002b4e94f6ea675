#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every header compiles alone, with both compilers and all warnings.
. "$(dirname "$0")/sources.sh"

flags=$(pkg-config --cflags fuse3 sqlite3 libzstd libcurl libcrypto jansson libseccomp libmicrohttpd augeas) || exit 1
flags="$flags -std=c17 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -I. -fsyntax-only
 -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Wvla -Werror"

for compiler in gcc clang; do
	command -v "$compiler" >/dev/null || { finding "$compiler is not installed"; continue; }
	extra=
	# A header read as a main file has functions that nobody uses there.
	[ "$compiler" = clang ] && extra="-Wthread-safety -Wno-unused-function"
	for header in $(every_file -name '*.h' | grep -v '^tests/'); do
		# shellcheck disable=SC2086
		if ! out=$(echo "#include \"$header\"" | $compiler -x c $flags $extra - 2>&1); then
			finding "$header does not compile alone with $compiler:"
			printf '%s\n' "$out" | head -n 5
		fi
	done
done
verdict "a header that needs another before it"
