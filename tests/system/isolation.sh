#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=quick users=root,user timeout=120
# What an application writes, renames, links, truncates, chmods and deletes stays in its environment: the host's
# trees are the same to the byte and the nanosecond, `env diff` lists exactly what was done, `reset` undoes it.
. "$(dirname "$0")/setup.sh"

make_box

# The same test for another user, beside this one, changes directories that are compared here.
exec 9<"$floe"
flock 9 || fail "flock"

# Trees with something to change: below home and in a directory of everyone; as root in the system's as well.
trees=("$home/iso" "/var/tmp/floe-iso-$FLOE_WHO-$$")
if [ "$(id -u)" -eq 0 ]; then
	trees+=("/usr/local/floe-iso-$FLOE_WHO-$$" "/etc/floe-iso-$FLOE_WHO-$$" "/opt/floe-iso-$FLOE_WHO-$$" "/var/lib/floe-iso-$FLOE_WHO-$$")
fi
at_end+=('rm -rf "${trees[@]}"')
for tree in "${trees[@]}"; do
	mkdir -p "$tree/dir/sub" "$tree/gone/deep" || fail "cannot make $tree"
	for file in write append rename truncate chmod delete link replace; do echo "$file" >"$tree/$file"; done
	echo inner >"$tree/dir/sub/inner"
	echo deep >"$tree/gone/deep/file"
	ln -s write "$tree/symlink"
done

cat >"$home/change.sh" <<'EOS'
set -e
cd "$1"
echo changed >write
echo more >>append
mv rename renamed
: >truncate
chmod 700 chmod
rm delete
ln link linked
echo new >replace.tmp && mv replace.tmp replace
echo created >created
mkdir newdir && echo x >newdir/x
mv dir moved
rm -r gone
ln -sfn chmod symlink
touch -d 2001-02-03 append
EOS

expect 0 -- in_box one true # floe's own directories in home are there from now on
manifest "${trees[@]}" >"$scratch/before"
stat -c '%n %s %Y %Z %i' /usr /usr/bin /usr/lib /etc /opt /var /var/lib >"$scratch/system"
manifest /etc /opt/box 2>/dev/null >"$scratch/etc"

for tree in "${trees[@]}"; do
	expect 0 -- in_box one sh "$home/change.sh" "$tree"
done
same_as_before "$scratch/before" "${trees[@]}"
same_as_before "$scratch/etc" /etc
stat -c '%n %s %Y %Z %i' /usr /usr/bin /usr/lib /etc /opt /var /var/lib | diff "$scratch/system" - ||
	fail "a directory of the system was changed"

note "inside, everything is as the script left it"
for tree in "${trees[@]}"; do
	expect 0 -- in_box one sh -c 'cd "$1" && cat write append renamed replace created newdir/x moved/sub/inner linked &&
		test ! -s truncate && test ! -e delete && test ! -e rename && test ! -e dir && test ! -e gone &&
		test "$(stat -c %a chmod)" = 700 && test "$(readlink symlink)" = chmod &&
		test "$(stat -c %Y append)" = "$(date -d 2001-02-03 +%s)" &&
		test "$(stat -c %h link)" = 2 && echo through >>link && tail -n 1 linked' sh "$tree"
	[ "$(tr '\n' ' ' <"$out")" = "changed append more rename new created x inner link through " ] ||
		fail "inside $tree: $(tr '\n' ' ' <"$out")"
done

note "env diff lists exactly that"
expect 0 -- "$floe" env diff --json one
for tree in "${trees[@]}"; do
	python3 - "$out" "$tree" <<'EOS' || fail "env diff of $tree"
import json, sys
rows = json.load(open(sys.argv[1])); tree = sys.argv[2] + "/"
rows = rows[0]["changes"]
got = {(r["change"], r["path"][len(tree):]) for r in rows if r["path"].startswith(tree)}
want = {("modified", f) for f in ("write", "append", "truncate", "replace", "symlink", "link")}
want |= {("metadata", "chmod")}
want |= {("deleted", f) for f in ("rename", "delete", "dir", "gone")}
want |= {("added", f) for f in ("renamed", "linked", "created", "newdir", "newdir/x", "moved", "moved/sub",
                                "moved/sub/inner")}
for row in sorted(want - got): print("missing", row)
for row in sorted(got - want): print("too much", row)
sys.exit(got != want)
EOS
done

note "another environment does not see it, another launch in this one does"
expect 0 -- in_box two cat "$home/iso/write"
[ "$(cat "$out")" = write ] || fail "environment two sees what one wrote"
in_box one sh -c 'echo from-first >"$HOME/iso/talk"; i=0; while [ ! -e "$HOME/iso/answer" ] && [ $i -lt 200 ]; do
	sleep 0.1; i=$((i+1)); done; cat "$HOME/iso/answer"' >"$scratch/first" 2>&1 &
first=$!
expect 0 -- in_box one sh -c 'i=0; while [ ! -e "$HOME/iso/talk" ] && [ $i -lt 200 ]; do sleep 0.1; i=$((i+1)); done
	cat "$HOME/iso/talk"; echo from-second >"$HOME/iso/answer"'
[ "$(cat "$out")" = from-first ] || fail "the second launch does not see the first one's file"
wait "$first" || fail "first launch"
[ "$(cat "$scratch/first")" = from-second ] || fail "the first launch does not see the second one's file"

note "the package itself can be written over, privately"
expect 0 -- in_box one sh -c 'echo mine >/opt/box/share/note && cat /opt/box/share/note && rm /opt/box/share/many/7'
expect 0 -- in_box two sh -c 'cat /opt/box/share/note /opt/box/share/many/7'
[ "$(tr '\n' ' ' <"$out")" = "original file 7 " ] || fail "environment two: $(cat "$out")"

note "a home below directories that belong to others"
if [ -d "${FLOE_DEEP_HOME:-}" ]; then
	cp -r "$home/.config" "$FLOE_DEEP_HOME/"
	HOME=$FLOE_DEEP_HOME XDG_RUNTIME_DIR=$FLOE_DEEP_HOME/run expect 0 -- in_box deep sh -c 'mkdir "$HOME/new" && echo x >"$HOME/new/x"'
	[ ! -e "$FLOE_DEEP_HOME/new" ] || fail "written into the real home"
	HOME=$FLOE_DEEP_HOME expect 0 -- "$floe" env diff deep
	[ "$(grep -c "$FLOE_DEEP_HOME" "$out")" = 2 ] && [ "$(grep -c '^[AMmD]' "$out")" = 2 ] || { cat "$out"; fail "env diff"; }
	HOME=$FLOE_DEEP_HOME XDG_RUNTIME_DIR=$FLOE_DEEP_HOME/run "$floe" stop --all >/dev/null 2>&1
	holder_leave
fi

note "reset undoes everything"
"$floe" stop --all >/dev/null 2>&1
expect 0 -- "$floe" env reset --yes one
expect 0 -- "$floe" env diff one
[ ! -s "$out" ] || { cat "$out"; fail "something is left after reset"; }
for tree in "${trees[@]}"; do
	expect 0 -- in_box one sh -c 'cd "$1" && cat write rename delete dir/sub/inner gone/deep/file && test ! -e created' sh "$tree"
done
expect 0 -- "$floe" env remove --yes two
expect 0 -- "$floe" env list --json
! grep -q '"two"' "$out" || fail "environment two is still there"
same_as_before "$scratch/before" "${trees[@]}"
