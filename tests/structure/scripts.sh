#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Shell scripts pass shellcheck and can be executed; the manual page has no warnings.
. "$(dirname "$0")/sources.sh"

for file in check quickstart .ci/run tests/run-system $(every_file -path './tests/*' -name '*.sh'); do
	[ -e "$file" ] || { finding "$file is missing"; continue; }
	bash -n "$file" || finding "$file: syntax"
	case $file in
	tests/structure/sources.sh | tests/machine.sh | tests/report.sh | tests/*/setup.sh) ;; # read, not run
	*) [ -x "$file" ] || finding "$file cannot be executed (chmod +x)" ;;
	esac
	if command -v shellcheck >/dev/null; then
		# SC1091, SC2154, SC2034: variables that live in the files which are read with `.`
		shellcheck -x -S warning -e SC1091,SC2154,SC2034,SC2164 "$file" || finding "$file: shellcheck"
	fi
done

if command -v man >/dev/null; then
	out=$(LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=100 man --warnings -E UTF-8 -l -Tutf8 -Z docs/floe.1 2>&1 >/dev/null)
	[ -z "$out" ] || finding "docs/floe.1: $out"
fi
verdict "scripts and manual page"
