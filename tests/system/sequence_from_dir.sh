#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=quick users=root,user timeout=120
# floe sequence --from-dir: what goes in comes out, equal input gives equal bytes, launching fills the primary
# feature block, and wrong command lines are refused with a word on what is right.
. "$(dirname "$0")/setup.sh"

tree=$scratch/tree
make_box_tree "$tree" 2
mkdir -p "$tree/share/glib-2.0/schemas"
echo '<schemalist/>' >"$tree/share/glib-2.0/schemas/org.example.box.gschema.xml"
cat >"$tree/bin/writes" <<'SH'
#!/bin/sh
mkdir -p ~/.config/box/Cache ~/.local/share/box
printf '[a]\nb=1\n' >~/.config/box/settings
echo '{ "a": { "b": 1 } }' | tee ~/.config/box/box.json ~/.config/box/Cache/box.json ~/.local/share/box/box.json >~/.boxrc
echo '<channel name="box" version="1.0"><property name="a" type="int" value="1"/></channel>' >~/.config/box/box.xml
SH
chmod 755 "$tree/bin/writes"
sequence() { expect 0 -- "$floe" sequence --from-dir "$tree" --prefix /opt/box --name box "$@"; }

note "the same input gives the same bytes"
export SOURCE_DATE_EPOCH=1700000000
sequence -q -o "$scratch/one.floe"
[ ! -s "$out" ] || fail "--quiet is not quiet"
sequence -o "$scratch/two.floe" --json
cmp "$scratch/one.floe" "$scratch/two.floe" || fail "two runs differ"
python3 - "$out" <<-'PY' || fail "the JSON summary"
	import json, sys
	r = json.load(open(sys.argv[1]))
	commands = {c["name"]: c["path"] for c in r["manifest"]["commands"]}
	assert commands["box"] == "/opt/box/bin/box", commands
	assert r["manifest"]["default_command"] == "box", r["manifest"]
	assert r["manifest"]["environment"] == [{"name": "GSETTINGS_BACKEND", "value": "keyfile"}], r["manifest"]
	assert r["taken"]["files"] == 208, r["taken"]
	assert r["package"]["feature_block_bytes"] == 0
PY
unset SOURCE_DATE_EPOCH

launch_under() { # ENGINE
	note "a launch teaches what starting needs, and where settings are: engine $1"
	sequence --engine "$1" -o "$scratch/three.floe" --launch 'data' --launch 'writes' --report "$scratch/report.json"
	grep -q 'Launch: data: exited with status 0' "$out" || { cat "$out"; fail "the launch failed"; }
	python3 - "$scratch/report.json" <<-'PY' || { cat "$scratch/report.json"; fail "the report"; }
		import json, sys
		r = json.load(open(sys.argv[1]))
		assert r["package"]["feature_block_bytes"] >= 2 << 20, r["package"]
		assert [l["end"] for l in r["launches"]] == ["exited"] * 2, r["launches"]
		configs = {c["path"]: c["lens"] for c in r["manifest"]["config_files"]}
		assert configs == {"@config/box/settings": "ini", "@config/box/box.json": "json",
			"@config/box/box.xml": "xfconf", "@config/glib-2.0/settings/keyfile": "gsettings"}, configs
		others = [p["path"] for p in r["config_proposals"] if not p["taken"]]
		assert others == ["@home/.boxrc"], others
	PY
	grep -qx 'Could be kept as keys: --config @home/.boxrc:json' "$out" || { cat "$out"; fail "the proposal is not shown"; }
	[ ! -e "$home/.config/box" ] || fail "the launch wrote into the real home"
}
for engine in fuse auto; do launch_under "$engine"; done

note "what a launch has made is kept by key, and a program with GSettings is told where its settings are"
in_three() { "$floe" run --env three --command "$1" "$scratch/three.floe" -- "${@:2}"; }
prints '' in_three writes
prints $'1\n1\n1' "$floe" registry get config/box/settings:a/b config/box/box.json:a/b config/box/box.xml:a --env three
prints keyfile in_three box sh -c 'echo $GSETTINGS_BACKEND'
"$floe" info "$scratch/three.floe" | grep -q '^Environment *GSETTINGS_BACKEND=keyfile$' || fail "floe info does not tell"

note "a launch that never ends is ended; one that fails is reported"
sequence -o "$scratch/four.floe" --launch 'box sleep 1000' --launch 'box false' --launch 'not-there' --launch-seconds 20
grep -q 'Launch: box sleep 1000: started, then ended by us' "$out" || { cat "$out"; fail "sleep"; }
grep -q 'Launch: box false: exited with status 1' "$out" || { cat "$out"; fail "false"; }
grep -q 'Launch: not-there: exited with status 127' "$out" || { cat "$out"; fail "not-there"; }
grep -q 'box false exited with status 1' "$err" || fail "no warning about a failed launch"
! pgrep -u "$(id -u)" -f '^sleep 1000$' >/dev/null || fail "the launch is still running"

note "what was packed is what comes out"
expect 0 -- "$floe" run --ephemeral --command box "$scratch/three.floe" -- \
	sh -c 'cd /opt/box && find . -type f -print0 | sort -z | xargs -0 sha256sum'
(cd "$tree" && find . -type f -print0 | sort -z | xargs -0 sha256sum) | cmp - "$out" || fail "content differs"

note "rules leave out what they say"
printf '# mine\nexclude /opt/box/share/many/**\ninclude **/many/7\n' >"$scratch/rules"
sequence -v -o "$scratch/five.floe" --rules "$scratch/rules"
grep -qE '199 .*/opt/box/share/many/\*\* +mine' "$out" || { cat "$out"; fail "rules"; }
expect 0 -- "$floe" sequence --print-rules
grep -q '^exclude /var/cache/\*\*$' "$out" || fail "--print-rules"

note "wrong command lines"
expect 125 '-o OUT.floe is missing' -- "$floe" sequence --from-dir "$tree" --prefix /x
expect 125 'nothing to sequence' -- "$floe" sequence -o "$scratch/x.floe"
expect 125 'needs --prefix' -- "$floe" sequence -o "$scratch/x.floe" --from-dir "$tree"
expect 125 'absolute path' -- "$floe" sequence -o "$scratch/x.floe" --from-dir "$tree" --prefix x
expect 125 'not both' -- "$floe" sequence -o "$scratch/x.floe" --from-dir "$tree" --prefix /x -- true
expect 125 'No such file' -- "$floe" sequence -o "$scratch/x.floe" --from-dir "$scratch/no" --prefix /x
expect 125 'left nothing' -- "$floe" sequence -o "$scratch/x.floe" --from-dir "$tree/empty" --prefix /x
expect 125 'give a number' -- "$floe" sequence -o "$scratch/x.floe" --level 99 --from-dir "$tree" --prefix /x
expect 125 'line 1' -- "$floe" sequence -o "$scratch/x.floe" --rules "$tree/share/note" --from-dir "$tree" --prefix /x
expect 125 'is not in the package' -- "$floe" sequence -o "$scratch/x.floe" --from-dir "$tree" --prefix /x --command a=/b
expect 125 -- "$floe" sequence -o "$scratch/no/x.floe" --from-dir "$tree" --prefix /x
expect 125 -- "$floe" sequence -o "$scratch/x.floe" --key nobodys --from-dir "$tree" --prefix /x
[ ! -e "$scratch/x.floe" ] || fail "a refused run left a package"
[ -z "$(ls -A "$home/.cache/floe/sequence" 2>/dev/null)" ] || fail "working directories stayed"
