#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=heavy users=root,user timeout=900
# Limits of the fuse engine: 300,000 files are found and looked at with 1,024 and with 256 descriptors, the server
# needs less than 200 bytes and the name for each of them, and a directory of 100,000 names is listed.
. "$(dirname "$0")/setup.sh"

tests=$FLOE_BUILD/tests/union
[ -x "$tests/union_mount" ] || fail "there is no $tests/union_mount"
files=300000 names=100000 name_len=10 of_file=200
cd "$scratch" || exit 1
mkdir lower upper work target
"$tests/many" make lower $files $names || fail "the lower layer"

# Resident bytes of the server: its own memory, and the pages of the node table.
cat >look.sh <<'EOS'
tests=$1 top=$2
server() {
	for p in /proc/[0-9]*; do
		if [ "$(cat "$p/comm" 2>/dev/null)" = union-server ] && tr '\0' ' ' <"$p/cmdline" | grep -qF "$top/"; then
			echo "$p"
			return
		fi
	done
}
server=$(server)
[ -n "$server" ] || { echo "there is no server" >&2; exit 1; }
memory() { awk '/^(VmRSS|RssAnon|RssShmem):/ { print "'"$1"'", $1, $2 }' "$server/status"; }
"$tests/many" find d0 >/dev/null || exit 1
memory before
echo "files $("$tests/many" find .)"
memory after
echo "again $("$tests/many" find .)"
echo "wide $("$tests/many" list wide)"
echo "descriptors $(ls "$server/fd" | wc -l)"
EOS
for limit in 1024 256; do
	note "with $limit descriptors"
	(ulimit -n "$limit" && timeout -k 10 300 "$tests/union_mount" --engine fuse --lower lower --upper upper --work work \
		"$scratch/target" -- sh "$scratch/look.sh" "$tests" "$scratch" >out 2>err </dev/null) || { cat out err; fail "with $limit descriptors"; }
	cat out
	for what in "files $((files + names))" "again $((files + names))" "wide $names"; do
		grep -qx "$what" out || { cat err; fail "with $limit descriptors: not \"$what\""; }
	done
	[ "$(awk '/^descriptors/ { print $2 }' out)" -lt "$limit" ] || fail "more than $limit descriptors"
	grown=$(awk '/before VmRSS/ { b = $3 } /after VmRSS/ { a = $3 } END { print (a - b) * 1024 }' out)
	note "$((grown / (files + names))) bytes for each file, its name of $name_len included"
	[ "$grown" -lt $(((files + names) * (of_file + name_len))) ] || fail "the server grew by $grown bytes"
done
