#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What must and must not stand in the tree: a licence line in every source, no paths of somebody's machine, no
# package registries' hosts, no junk drawers, no trailing blanks, nothing binary that was built.
. "$(dirname "$0")/sources.sh"

for file in $(every_file \( -name '*.c' -o -name '*.h' -o -name '*.sh' -o -name '*.py' -o -name '*.y' \)) \
	check quickstart .ci/run; do
	[ -e "$file" ] || { finding "$file is missing"; continue; }
	head -n 3 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' || finding "$file: no SPDX line at its top"
done

for file in $(c_files); do
	sed -n '2,4p' "$file" | grep -qE '^(/\*|//)' || finding "$file: no paragraph at its top that says what it is"
	case ${file##*/} in
	util.? | utils.? | misc.? | common.? | helper.? | helpers.?) finding "$file: a name that says nothing" ;;
	esac
done

# The words are spelled in pieces so that this file does not contain them.
w=work
words="/$w/|deb\\.debi""an\\.org|security\\.debi""an|pypi\\.o""rg|archive\\.ubu""ntu|/tmp/bu""ild-"
while IFS= read -r hit; do
	finding "a path or host that exists on one machine only: $hit"
done < <(every_file ! -name LICENSE | xargs -d '\n' grep -nIE "(^|[^A-Za-z0-9_.@*\$}-])($words)" /dev/null || true)

while IFS= read -r hit; do
	finding "trailing blanks: $hit"
done < <(c_files | xargs grep -nE '[[:blank:]]+$' /dev/null || true)

while IFS= read -r file; do
	finding "$file: a built file in the source tree"
done < <(every_file \( -name '*.o' -o -name '*.so' -o -name '*.a' -o -name '*.floe' \) | grep -v '^tests/' || true)
verdict "text that does not belong into the tree"
