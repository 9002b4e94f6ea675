#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A repository cloned from the package, walked through and packed; the host's own one changed in place.
. "$HOST/setup.sh"
export GIT_CONFIG_COUNT=2 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*' GIT_CONFIG_KEY_1=gc.auto GIT_CONFIG_VALUE_1=0

is_clean() { test -z "$(git status --porcelain)"; }
walk() {
	git checkout -q HEAD~1
	git checkout -q HEAD~1
	git checkout -q main
}

took 'git clone' git clone -q --no-hardlinks "$PACKAGE/repo" clone
cd clone
took 'git checkout' walk
took 'git status' is_clean
took 'git gc' git gc -q
git fsck --no-progress
is_clean
result "$(git rev-parse HEAD) $(git ls-files -s | sha256sum)"
result "$(git ls-files -z | xargs -0 sha256sum | sha256sum)"
for there in "$HOST/repo" "$PACKAGE/repo"; do
	cd "$there"
	took "git checkout in place" walk
	git checkout -q HEAD~2
	is_clean
	result "$(git ls-files -z | xargs -0 sha256sum | sha256sum)"
	git checkout -q main
	is_clean
	git gc -q
	git fsck --no-progress
done
