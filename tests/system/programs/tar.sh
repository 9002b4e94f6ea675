#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An archive packed from below, unpacked, compared and packed again; a tree of the host's and the package's removed.
. "$HOST/setup.sh"
took 'tar, pack' tar -C "$HOST/repo" --exclude=.git --sort=name -cf all.tar .
mkdir out
took 'tar, unpack' tar -C out -xf all.tar
tar -C out --sort=name -cf again.tar .
cmp all.tar again.tar
took 'tar, compare' tar -C out -df all.tar
result "$(digest out)"
took 'rm -r' rm -rf out
test ! -e out
rm -rf "$HOST/repo"
test ! -e "$HOST/repo"
mkdir "$HOST/repo"
test -z "$(ls -A "$HOST/repo")"
tar -C "$HOST/repo" -xf all.tar
result "$(digest "$HOST/repo")"
rm -rf "$PACKAGE/share"
mkdir "$PACKAGE/share"
result "$(find "$PACKAGE/share" | wc -l)"
