# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Shared by the structure checks: which files there are, and how a finding is told.
# Read by `.`; afterwards the current directory is the top of the checkout.

cd "$(dirname "$0")/../.." || exit 1
export LC_ALL=C

folders="base package-format streaming vfs registry-shim launcher sequencer"

# every_file [FIND TESTS...]: what belongs to the source tree, one path a line, without "./".
every_file() {
	find . \( -path ./.git -o -path './build*' \) -prune -o -type f "$@" -print | sed 's|^\./||' | sort
}

c_files() {
	every_file \( -name '*.c' -o -name '*.h' \)
}

findings=0

# finding TEXT: one line for a person; the check fails.
finding() {
	printf '%s\n' "$1"
	findings=$((findings + 1))
}

# verdict WHAT: the last line of each check.
verdict() {
	if [ "$findings" -gt 0 ]; then
		echo "$findings findings: $1"
		exit 1
	fi
	exit 0
}
