#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=normal users=root,user timeout=300
# Keys at the top of a file are FILE:NAME in every kind of file: what `floe registry list` says is found by every
# verb, in policies and in texts of export, and programs see what was set.
. "$(dirname "$0")/setup.sh"

note "files that are not there yet: their names tell what they will be, or LENS does"
make_box_tree "$scratch/new" 1
declare_new() { "$floe" sequence --from-dir "$scratch/new" --prefix /opt/box --name new -o "$scratch/new.floe" "$@"; }
expect 125 'its name does not tell its kind: write --config @config/new/rc:LENS' -- declare_new --config @config/new/rc
expect 0 '@config/new/new.json: taken for json by its name' -- declare_new --config @config/new/new.json
"$floe" run --env new --command box "$scratch/new.floe" -- sh -c 'cd && mkdir -p .config/new && echo "{\"skin\": 1}" >.config/new/new.json' ||
	fail "the application cannot write"
prints 1 "$floe" registry get config/new/new.json:skin --env new

etc=/opt/box/etc
kinds=(ini json toml yaml properties shell xfconf)
make_box_tree "$scratch/tree" 1
mkdir -p "$scratch/tree/etc"
printf 'skin=plain\na/b=1\n\n[part]\nskin=other\n' >"$scratch/tree/etc/top.ini"
printf '{\n  "skin": "plain",\n  "part": { "skin": "other" }\n}\n' >"$scratch/tree/etc/top.json"
printf 'skin = "plain"\n\n[part]\nskin = "other"\n' >"$scratch/tree/etc/top.toml"
printf 'skin: plain\npart:\n  skin: other\n' >"$scratch/tree/etc/top.yaml"
printf 'skin=plain\npart.skin=other\n/skin=third\n' >"$scratch/tree/etc/top.properties"
printf 'skin=plain\npart_skin=other\n' >"$scratch/tree/etc/top.shell"
printf '%s\n' '<?xml version="1.0" encoding="UTF-8"?>' '' '<channel name="top" version="1.0">' \
	'  <property name="skin" type="string" value="plain"/>' '  <property name="part" type="empty">' \
	'    <property name="skin" type="string" value="other"/>' '  </property>' '</channel>' >"$scratch/tree/etc/top.xfconf"
configs=()
for kind in "${kinds[@]}"; do configs+=(--config "$etc/top.$kind:$kind"); done
"$floe" sequence -q --from-dir "$scratch/tree" --prefix /opt/box --name box -o "$scratch/box.floe" "${configs[@]}" \
	>"$scratch/sequence.log" 2>&1 || { cat "$scratch/sequence.log"; fail "floe sequence --config"; }
box=$scratch/box.floe

run() { in_box box "$@"; }
reg() { "$floe" registry "$@" --env box; }
shows() { run grep -q -- "$1" "$file" || fail "$kind does not show $1: $(run cat "$file")"; }

run true || fail "the first start"
for kind in "${kinds[@]}"; do
	file=$etc/top.$kind
	key=$file:skin
	note "$kind"
	reg list "$file" --keys | grep -qxF "$key" || fail "list: $(reg list "$file")"
	prints plain reg get "$key"
	prints plain reg get "$file:/skin" # as earlier versions spelled it
	prints '' reg set "$key" dark
	shows dark
	run sed -i 's/dark/mine/' "$file" || fail "sed in the application"
	prints mine reg get "$key"
	reg history "$key" | grep -E ' mine +sed ' >/dev/null || fail "history: $(reg history "$key")"
	reg explain "$key" | grep -E '^decides +user +mine +sed ' >/dev/null || fail "explain: $(reg explain "$key")"
	prints '' reg lock "$key" kept
	run sed -i 's/kept/other/' "$file" || fail "sed against a lock"
	shows kept
	prints kept reg get "$key"
	prints '' reg unlock "$key"
	prints mine reg get "$key"
	prints "$key: plain -> mine" reg diff "$file"
	prints '' reg unset "$key"
	prints FAILS reg get "$key"
	! run grep -q 'plain\|mine' "$file" || fail "$kind: an unset key is still there: $(run cat "$file")"
	prints '' reg set "$key" "from $kind"
	shows "from $kind"
done

note "ini: a name that has a / itself; properties: one that begins with it"
prints 1 reg get "$etc/top.ini:/a/b"
prints FAILS reg get "$etc/top.ini:a/b"
prints '' reg set "$etc/top.ini:/a/b" 2
prints a/b=2 run grep a/b "$etc/top.ini"
prints third reg get "$etc/top.properties://skin"
prints '' reg set "$etc/top.properties://skin" fourth
prints /skin=fourth run grep fourth "$etc/top.properties"

note "what no file can show is told of"
expect 0 'is kept, but not to be seen in the file: .*a part of a key without a name' -- reg set "$etc/top.json:/a/b" 1
expect 0 'not to be seen in the file: .*this key is spelled a/b' -- reg lock "$etc/top.properties:/a/b" 1
expect 0 'not to be seen in the file: the package declares no such file' -- reg set "$etc/top.jsn:skin" 1
reg unlock "$etc/top.properties:/a/b" && reg unset "$etc/top.json:/a/b" "$etc/top.jsn:skin" || fail "unset of what is not seen"

note "export, import, and a text of an earlier version"
reg export >"$scratch/settings" || fail "export"
grep -qxF "set $etc/top.json:skin = from json" "$scratch/settings" || fail "export: $(cat "$scratch/settings")"
"$floe" run --env copy --command box "$box" -- true || fail "another environment"
"$floe" registry import "$scratch/settings" --env copy 2>/dev/null || fail "import"
"$floe" registry export --env copy -o "$scratch/again" || fail "export of the copy"
cmp "$scratch/settings" "$scratch/again" || fail "$(diff "$scratch/settings" "$scratch/again")"
for kind in "${kinds[@]}"; do
	prints "$(run cat "$etc/top.$kind")" "$floe" run --env copy --command box "$box" -- cat "$etc/top.$kind"
	printf 'set %s/top.%s:/skin = earlier\n' "$etc" "$kind"
done >"$scratch/earlier"
"$floe" registry import "$scratch/earlier" --env copy 2>/dev/null || fail "import of an earlier version's text"

note "policy"
for kind in "${kinds[@]}"; do
	printf 'lock %s/top.%s:skin = site %s\n' "$etc" "$kind" "$kind"
done >"$scratch/site.policy"
for kind in "${kinds[@]}"; do
	file=$etc/top.$kind
	prints earlier "$floe" registry get "$file:skin" --env copy
	"$floe" run --env copy --policy "$scratch/site.policy" --command box "$box" -- grep -q "site $kind" "$file" ||
		fail "policy for $kind: $("$floe" registry explain "$file:skin" --env copy)"
	"$floe" run --env copy --command box "$box" -- grep -q earlier "$file" || fail "without policy: $kind"
done
