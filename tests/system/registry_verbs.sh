#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=normal users=root,user timeout=300
# floe registry: locks that are enforced at once, site policy, explain, history, search, export and import, changes that
# running applications notice.
. "$(dirname "$0")/setup.sh"

make_box_tree "$scratch/tree" 1
mkdir -p "$scratch/tree/etc"
printf '; vendor\n[look]\nskin = default\nlines=25\n' >"$scratch/tree/etc/box.ini"
pack_box --version 1 --config /opt/box/etc/box.ini:ini --config @config/box/new.ini:ini --config @home/.boxrc:ini
ini=/opt/box/etc/box.ini

run() { in_box box "$@"; }
reg() { "$floe" registry "$@" --env box; }

run true || fail "the first start"

note "several keys at once, all or none"
reg set $ini:look/skin dark $ini:look/lines 30 || fail "set of two keys"
prints $'dark\n30' reg get $ini:look/skin $ini:look/lines
expect 125 'is no key' -- reg set $ini:look/skin light nonsense 1
expect 125 'has no value' -- reg set $ini:look/skin light $ini:look/lines
prints dark reg get $ini:look/skin

note "a locked key is put back, the others are kept, the program goes on"
reg lock $ini:look/skin fixed || fail "lock"
prints $'[look]\nskin = fixed' run sh -c "sed -n '/look/,/skin/p' $ini"
run sh -c "sed -i 's/fixed/mine/; s/30/40/' $ini && grep -q fixed $ini && grep -q 40 $ini" ||
	fail "what was saved: $(run cat $ini)"
prints $'fixed\n40' reg get $ini:look/skin $ini:look/lines
reg history $ini:look/skin | grep -E 'refused +.*look/skin +fixed +mine +sed \([0-9]+\)' >/dev/null ||
	fail "history: $(reg history)"
expect 125 'floe registry unlock' -- reg set $ini:look/skin other
run sh -c "echo '<xml/>' >$ini; grep -q fixed $ini" || fail "garbage got around a lock"
run sh -c "rm $ini; ! test -e $ini && set -C && echo '[look]' >$ini && grep -q fixed $ini" || fail "unlink and create"
run rm $ini
run grep -q fixed $ini || fail "removing the file got around a lock"
reg unlock $ini:look/skin || fail "unlock"
reg set $ini:look/skin dark $ini:look/lines 30 || fail "set after unlock"

note "the run says so at its end, and ends as its program did"
reg lock $ini:look/skin fixed && reg lock $ini:look/lines 50 || fail "lock"
expect 3 'floe: 2 locked settings were put back: floe registry history --env box' -- \
	run sh -c "sed -i 's/fixed/mine/; s/50/40/' $ini; sed -i s/fixed/mine/ $ini; exit 3"
expect 0 '1 locked setting was put back' -- run sed -i s/fixed/mine/ $ini
expect 0 -- run true
[ ! -s "$err" ] || fail "a run without a refusal says: $(cat "$err")"
expect 0 -- "$floe" run -q --env box --command box "$box" -- sed -i s/fixed/mine/ $ini
[ ! -s "$err" ] || fail "a quiet run says: $(cat "$err")"
reg unlock $ini:look/skin $ini:look/lines || fail "unlock"

note "what does not change"
[ "$(reg history --json | grep -c '"program": "floe registry"')" -ge 4 ] || fail "history: $(reg history --json)"
reg explain $ini:look/skin | sed -n 3p | grep -E '^decides +user +dark +floe registry +20' >/dev/null ||
	fail "explain: $(reg explain $ini:look/skin)"
reg explain $ini:look/skin | grep -E "package +default +box 1 $ini" >/dev/null ||
	fail "explain: $(reg explain $ini:look/skin)"
"$floe" registry search SKIN | grep -q "^box .*$ini:look/skin .*dark" || fail "search: $("$floe" registry search SKIN)"
reg list --keys | grep -qx "$ini:look/skin" || fail "list --keys: $(reg list --keys)"

note "policy"
printf 'default %s:look/skin = site\nlock %s:look/lines = 99\n[package other]\nlock %s:look/skin = no\n' \
	$ini $ini $ini >"$scratch/site.policy"
policy() { "$floe" run --env box --policy "$scratch/site.policy" --command box "$box" -- "$@"; }
policy sh -c "grep -q 'skin = dark' $ini && grep -q lines=99 $ini" || fail "under policy: $(policy cat $ini)"
policy sh -c "sed -i s/99/1/ $ini; grep -q lines=99 $ini" || fail "the site's lock is not kept"
reg explain $ini:look/lines | grep -E "decides +site lock +99 +$scratch/site.policy:2" >/dev/null ||
	fail "explain: $(reg explain $ini:look/lines)"
expect 125 'locked by the administrator .*site.policy:2' -- reg unlock $ini:look/lines
reg unset $ini:look/skin || fail "unset"
policy true
reg history --json >"$scratch/history.json"
printf 'lock %s:look/lines\ndefault nonsense = 1\n' $ini >"$scratch/bad.policy"
expect 125 'bad.policy:2: .nonsense. is no key' -- "$floe" run --env box --policy "$scratch/bad.policy" --command box "$box"
prints 30 run sed -n s/lines=//p $ini

note "export and import"
reg lock $ini:look/new 'a = \ ü ' || fail "lock of a new key"
run sh -c 'printf "[s]\na=1\n" >$HOME/.config/box/new.ini; printf "<one>\n two\\\\\nthree" >$HOME/.boxrc' ||
	fail "writing more settings"
reg list home/.boxrc | grep -qE '^home/.boxrc +[(]not of the kind ini: line 1: .*: kept as a whole[)] +user$' ||
	fail "list of a file that is not of its kind: $(reg list home/.boxrc)"
reg list | grep -q 'kept as a whole' && reg list --json | grep -q '"why": "not of the kind ini: line 1: ' || fail "list: $(reg list)"
[ -z "$(reg list home/.boxrc --keys)" ] || fail "list --keys: $(reg list home/.boxrc --keys)"
reg export >"$scratch/settings" || fail "export"
LC_ALL=C sort -c -s -k 2,2 "$scratch/settings" || fail "not sorted: $(cat "$scratch/settings")"
"$floe" run --env copy --command box "$box" -- true || fail "another environment"
"$floe" registry import "$scratch/settings" --env copy --dry-run 2>/dev/null | grep -q 'new.ini:s/a: (none) -> 1' ||
	fail "import --dry-run: $("$floe" registry import "$scratch/settings" --env copy --dry-run)"
[ -z "$("$floe" registry export --env copy)" ] || fail "a dry run changed something"
"$floe" registry import - --env copy <"$scratch/settings" 2>/dev/null || fail "import"
"$floe" registry export --env copy -o "$scratch/again" || fail "export of the copy"
cmp "$scratch/settings" "$scratch/again" || fail "$(diff "$scratch/settings" "$scratch/again")"
prints "$(run sh -c "cat $ini \$HOME/.boxrc")" "$floe" run --env copy --command box "$box" -- sh -c "cat $ini \$HOME/.boxrc"
printf 'set %s:look/lines = 1\nset %s\n' $ini $ini >"$scratch/bad"
expect 125 'bad:2: ' -- "$floe" registry import "$scratch/bad" --env copy
prints 30 "$floe" registry get $ini:look/lines --env copy

note "running applications are woken"
mkfifo "$scratch/ready"
in_box box sh -c "tail -n +1 -F $ini & echo up; read x; kill \$!" <"$scratch/ready" >"$scratch/seen" 2>&1 &
app=$!
exec 3>"$scratch/ready"
until_true 20 grep -q lines=30 "$scratch/seen" || fail "tail shows nothing: $(cat "$scratch/seen")"
reg set $ini:look/lines 31 || fail "set while it runs"
until_true 20 grep -q 'has been replaced' "$scratch/seen" || fail "tail -F does not notice: $(cat "$scratch/seen")"
echo >&3
exec 3>&-
wait "$app"
