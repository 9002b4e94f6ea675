#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Files of at most 800 lines, functions of at most 100; both want to be shorter (400 and 70), which is
# reported and does not fail. The code's format makes "{" and "}" in the first column a function's ends.
. "$(dirname "$0")/sources.sh"

while read -r lines file; do
	[ "$file" = total ] && continue
	if [ "$lines" -gt 800 ]; then
		finding "$file: $lines lines are two nouns"
	elif [ "$lines" -gt 400 ]; then
		echo "note: $file: $lines lines (wanted: 400)"
	fi
done < <(c_files | xargs wc -l)

while IFS=: read -r file line lines; do
	if [ "$lines" -gt 100 ]; then
		finding "$file:$line: a function of $lines lines"
	else
		echo "note: $file:$line: a function of $lines lines (wanted: 70)"
	fi
done < <(c_files | xargs awk '
	FNR == 1 { start = 0 }
	/^\{/ { start = FNR }
	/^\}/ { if (start && FNR - start + 1 > 70) print FILENAME ":" start ":" FNR - start + 1; start = 0 }')
verdict "too large to understand at one sight"
