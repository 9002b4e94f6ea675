# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the programs of union_programs.sh stand on. Read by `.`; they run in the directory WORK, with HOST and
# PACKAGE as read-only places that an environment lets them write to.
set -e -o pipefail
exec 9>&1

# took WHAT COMMAND...: runs it and says how long it took, wherever its output goes.
took() {
	local what=$1 began

	shift
	began=$(date +%s%N)
	"$@"
	echo "took|$what|$((($(date +%s%N) - began) / 1000000))" >&9
}

# Something that must be the same wherever the program runs.
result() {
	echo "result|$*"
}

# digest DIR [FIND CONDITIONS]: names, kinds, modes, links, sizes, times and contents of what is not a directory.
digest() {
	local dir=$1

	shift
	(cd "$dir" && {
		find . -mindepth 1 "$@" \( -type d -printf '%P|d|%m\n' -o -printf '%P|%y|%m|%n|%s|%l|%T@\n' \) | LC_ALL=C sort
		find . -type f "$@" -print0 | LC_ALL=C sort -z | xargs -0r sha256sum
	}) | sha256sum | cut -c 1-16
}
