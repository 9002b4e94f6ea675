#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=quick users=root,user timeout=120
# floe info, ls, verify, extract and key on a small package: what they print, their exit statuses, and that
# extracting stays inside the target directory and leaves alone what was there.
. "$(dirname "$0")/setup.sh"
command -v python3 >/dev/null || skip "python3 is not installed"
[ -x "$FLOE_BUILD/tests/make_corpus" ] || skip "built without tests"

"$FLOE_BUILD/tests/make_corpus" "$scratch/made" || fail "cannot make the package"
p=$scratch/made/package.floe
json() { # EXPRESSION: of the JSON on standard input, as j
	python3 -c "import json,sys; j=json.load(sys.stdin); sys.exit(0 if ($1) else 1)"
}

note "info and ls"
expect 0 -- "$floe" info "$p" --json
json "j['name']=='sample' and j['inodes']==45 and not j['signer']['trusted'] and j['commands'][0]['name']=='tool'" \
	<"$out" || fail "info --json"
key=$(python3 -c 'import json,sys; print(json.load(sys.stdin)["signer"]["key"])' <"$out")
expect 0 -- "$floe" info "$p"
grep -q "floe key trust $key" "$out" || fail "info does not say how to trust the key"
expect 0 -- "$floe" ls "$p" usr/d1
[ "$(wc -l <"$out")" = 13 ] || fail "ls"
expect 0 -- "$floe" ls -lR "$p"
grep -Eq '^lrwxrwxrwx .*usr/d1/file-7 -> tool$' "$out" || fail "ls -l"
expect 0 -- "$floe" ls "$p" usr/d0 --json
json "len(j)==14 and {'file','symlink'}==set(x['type'] for x in j)" <"$out" || fail "ls --json"
expect 125 'usr/none.*no such file' -- "$floe" ls "$p" usr/none
expect 125 'not a package file' -- "$floe" info /dev/null
expect 125 'needs one package' -- "$floe" info

note "keys and verify"
expect 126 "floe key trust $key" -- "$floe" verify "$p"
expect 0 -- "$floe" verify --no-trust "$p"
grep -q '^OK sample 1.0: 45 ' "$out" || fail "verify's line"
expect 125 '64 hexadecimal digits' -- "$floe" key trust 12
expect 0 -- "$floe" key trust "$key" --label "the maker"
expect 0 -- "$floe" verify "$p"
expect 0 -- "$floe" key list --json
json "any(x['key']=='$key' and x['state']=='trusted' and x['label']=='the maker' for x in j)" <"$out" || fail "key list"
expect 0 -- "$floe" key new second
expect 125 'already' -- "$floe" key new second
expect 0 -- "$floe" key revoke "$key"
expect 126 'revoked' -- "$floe" verify "$p"
expect 126 'revoked' -- "$floe" key trust "$key"

note "damage"
size=$(stat -c %s "$p")
for at in 3 20 100 150 3000 4100 $((size - 5)); do
	cp "$p" "$scratch/bad.floe"
	python3 - "$scratch/bad.floe" "$at" <<-'END'
		import sys
		with open(sys.argv[1], "r+b") as f:
		    f.seek(int(sys.argv[2])); b = f.read(1)[0]
		    f.seek(int(sys.argv[2])); f.write(bytes([b ^ 0x40]))
	END
	expect 125 'bad.floe' -- "$floe" verify --no-trust "$scratch/bad.floe"
done

note "extract"
expect 0 -- "$floe" extract --no-trust "$p" -C "$scratch/tree"
[ "$(find "$scratch/tree" -type f | wc -l)" = 35 ] || fail "files"
[ "$(readlink "$scratch/tree/usr/d1/file-7")" = tool ] || fail "symbolic link"
cmp -s "$scratch/made/content" "$scratch/tree/usr/d0/file-0" || fail "content"
[ "$(stat -c %a "$scratch/tree/usr/d0/file-0")" = 755 ] || fail "mode"
expect 125 'already' -- "$floe" extract --no-trust "$p" -C "$scratch/tree"
echo mine >"$scratch/tree/usr/d0/file-0"
expect 125 'already' -- "$floe" extract --no-trust "$p" -C "$scratch/tree" usr/d0/file-0
[ "$(cat "$scratch/tree/usr/d0/file-0")" = mine ] || fail "a file was replaced"
expect 0 -- "$floe" extract --no-trust --overwrite "$p" -C "$scratch/tree" usr/d0/file-0
cmp -s "$scratch/made/content" "$scratch/tree/usr/d0/file-0" || fail "--overwrite"
expect 0 -- "$floe" extract --no-trust "$p" -C "$scratch/part" /usr/d2
[ "$(ls "$scratch/part/usr")" = d2 ] || fail "only one path"
expect 125 'no such file' -- "$floe" extract --no-trust "$p" -C "$scratch/part" ../made
expect 126 'revoked' -- "$floe" extract "$p" -C "$scratch/none"

note "links in the way"
mkdir "$scratch/trap" "$scratch/outside"
ln -s "$scratch/outside" "$scratch/trap/usr"
expect 125 'not a directory' -- "$floe" extract --no-trust --overwrite "$p" -C "$scratch/trap"
mkdir -p "$scratch/trap2/usr/d0"
echo theirs >"$scratch/outside/file"
ln -s "$scratch/outside/file" "$scratch/trap2/usr/d0/file-0"
expect 0 -- "$floe" extract --no-trust --overwrite "$p" -C "$scratch/trap2" usr/d0
[ "$(cat "$scratch/outside/file")" = theirs ] || fail "a link was followed"
[ "$(ls "$scratch/outside")" = file ] || fail "something was written outside"
[ -f "$scratch/trap2/usr/d0/file-0" ] && [ ! -L "$scratch/trap2/usr/d0/file-0" ] || fail "the link was not replaced"
leftover=$(find "$scratch" -name '.floe-extract*' -o -name '*.tmp-*')
[ -z "$leftover" ] || fail "left behind: $leftover"
