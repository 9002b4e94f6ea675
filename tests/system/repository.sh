#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=normal users=root,user timeout=240
# Repositories: publish, subscribe, search, run by name, update; and what must be refused: an old list, another key,
# an expired list, a mirror that is behind, a damaged list, another package under a listed address. A publisher that
# is killed leaves the old list or the new one.
. "$(dirname "$0")/setup.sh"

www=$scratch/www
apps=$www/apps
mkdir -p "$apps" "$www/mirror"
lists=$home/.cache/floe/repositories
list=$apps/repository.json

# make NAME VERSION: a package whose command says both.
make() {
	local tree=$scratch/tree-$1-$2

	mkdir -p "$tree/bin" "$tree/share/applications" "$tree/share/icons/hicolor/64x64/apps"
	printf '#!/bin/sh\necho "this is %s %s"\n' "$1" "$2" >"$tree/bin/$1"
	chmod 755 "$tree/bin/$1"
	head -c 200000 /dev/urandom >"$tree/share/data"
	printf '[Desktop Entry]\nType=Application\nName=%s\nExec=%s\nIcon=%s\n' "$1" "$1" "$1" \
		>"$tree/share/applications/$1.desktop"
	printf '\211PNG\r\n\032\n%s' "picture of $1" >"$tree/share/icons/hicolor/64x64/apps/$1.png"
	"$floe" sequence -q --from-dir "$tree" --prefix "/opt/$1" --name "$1" --version "$2" \
		--summary "The $1 <that> says & its version" -o "$scratch/$1-$2.floe" >"$scratch/sequence.log" 2>&1 ||
		{ cat "$scratch/sequence.log"; fail "floe sequence"; }
}

# says TEXT REF...: what the package's command prints.
says() {
	local text=$1

	shift
	timeout 60 "$floe" run "$@" >"$out" 2>"$err" || { cat "$err"; fail "floe run $*"; }
	grep -qx "$text" "$out" || { cat "$out"; fail "floe run $* does not say: $text"; }
}

serial() {
	"$floe" repo list "$apps" --json | sed -n 's/^ *"serial": \([0-9]*\),*/\1/p'
}

make hello 1.9
make hello 1.10
make other '3:4.8~rc-1'

note "publish"
expect 0 '2 added' -- "$floe" repo add "$apps" "$scratch/hello-1.9.floe" "$scratch/other-3:4.8~rc-1.floe"
expect 0 'is there already' -- "$floe" repo add "$apps" "$scratch/hello-1.9.floe"
[ "$(serial)" = 1 ] || fail "serial $(serial) instead of 1"
head -n 1 "$list" | grep -qE '^floe-repository 1 [0-9a-f]{64} [0-9a-f]{128}$' || fail "the first line is another"
grep -q '"icon": "icons/' "$list" || fail "no icon was taken"
cp "$list" "$scratch/list.1"
cp "$scratch/hello-1.9.floe" "$scratch/bad.floe"
printf damage | dd of="$scratch/bad.floe" bs=1 seek=100000 conv=notrunc status=none
expect 125 'bad.floe.*digest' -- "$floe" repo add "$apps" "$scratch/bad.floe"
expect 125 'not a floe package' -- "$floe" repo add "$apps" "$floe"
cmp -s "$list" "$scratch/list.1" || fail "a failure changed the list"
[ -z "$(find "$apps" -name '.floe-new-*')" ] || fail "a failure leaves a file behind"
rm -rf "$scratch/tree-hello-1.9"
cp "$scratch/hello-1.9.floe" "$scratch/first-1.9.floe"
make hello 1.9
expect 125 'another package is there as hello 1.9' -- "$floe" repo add "$apps" "$scratch/hello-1.9.floe"
expect 125 'not in the repository' -- "$floe" repo remove "$apps" hello@1.8
expect 125 'not a repository yet' -- "$floe" repo list "$www/mirror"

note "subscribe, search, run by name"
serve_dir "$www"
expect 125 'no such file on the server' -- "$floe" add "$url/mirror"
expect 0 'added apps with 2 packages' -- "$floe" add "$url/apps"
expect 125 'subscribed already, as apps' -- "$floe" add "$url/apps/repository.json"
expect 125 'called apps is subscribed already' -- "$floe" add "$apps"
expect 0 -- "$floe" search HELLO says
grep -q '^hello  *1\.9 ' "$out" || { cat "$out"; fail "search does not find hello"; }
grep -q '^other' "$out" && fail "search finds what was not asked for"
expect 0 'nothing found' -- "$floe" search hello nowhere
expect 0 -- "$floe" list --json
python3 -c 'import json,sys; r=json.load(sys.stdin)[0]; assert r["name"]=="apps" and len(r["packages"])==2' <"$out" ||
	fail "the JSON is another"
says 'this is hello 1.9' hello
says 'this is other 3:4.8~rc-1' other@3:4.8~rc-1
says 'this is hello 1.9' apps/hello@1.9
expect 125 'neither a file nor a package' -- "$floe" run hello@2
expect 125 'neither a file nor a package' -- "$floe" run lab/hello
expect 0 -- "$floe" info hello
expect 0 -- "$floe" verify other

cached_wholly() {
	"$floe" cache fill hello >/dev/null 2>&1
	"$floe" list >"$out"
	grep -qE '^hello +1\.10 .* 100 % ' "$out"
}

note "update: what is new; the newest runs, the old one stays"
expect 0 -- "$floe" update
grep -q 'nothing new' "$out" || { cat "$out"; fail "there should be nothing new"; }
expect 0 -- "$floe" repo add "$apps" "$scratch/hello-1.10.floe"
says 'this is hello 1.9' hello
expect 0 -- "$floe" update apps
grep -q '^  + hello 1\.10 ' "$out" || { cat "$out"; fail "update does not show the new version"; }
cp "$list" "$scratch/list.2"
expect 0 -- "$floe" stop --all
says 'this is hello 1.10' hello
says 'this is hello 1.9' hello@1.9 --env old
expect 0 -- "$floe" list
grep -qE '^hello +1\.10 ' "$out" && ! grep -qE '^hello +1\.9 ' "$out" || { cat "$out"; fail "not the newest only"; }
until_true 20 cached_wholly || { cat "$out"; fail "floe list does not say what is cached"; }
expect 0 -- "$floe" list --all
grep -qE '^hello +1\.9 ' "$out" || fail "--all lacks the old version"

# refused REGEX: the update fails, and the list that is here stays in use.
refused() {
	cp "$lists/apps/list" "$scratch/before"
	expect 126 "$1" -- "$floe" update
	grep -q 'stays in use' "$err" || { cat "$err"; fail "nothing is said of the list that stays"; }
	cmp -s "$scratch/before" "$lists/apps/list" || fail "the stored list was replaced"
	says 'this is hello 1.10' hello
}

note "an old list"
cp "$scratch/list.1" "$list"
refused 'an old list: its serial number is 1, and 2 was seen'
rm -rf "$home/.cache/floe/repositories"
expect 126 'an old list' -- "$floe" update
expect 125 'the list of a subscribed repository is missing: floe update' -- "$floe" run hello
cp "$scratch/list.2" "$list"
expect 0 -- "$floe" update
says 'this is hello 1.10' hello

note "another key"
mkdir "$scratch/thief"
XDG_CONFIG_HOME=$scratch/thief "$floe" key new >/dev/null 2>&1
thief_key=$(XDG_CONFIG_HOME=$scratch/thief "$floe" key list --json | sed -n 's/.*"key": "\([0-9a-f]*\)".*/\1/p')
own_key=$("$floe" key list --json | sed -n 's/.*"key": "\([0-9a-f]*\)".*/\1/p')
XDG_CONFIG_HOME=$scratch/thief "$floe" key trust "$own_key" 2>/dev/null
expect 126 'signed by another key' -- env XDG_CONFIG_HOME="$scratch/thief" "$floe" repo sign "$apps"
expect 0 -- env XDG_CONFIG_HOME="$scratch/thief" "$floe" repo sign "$apps" --change-key
refused 'signed by another key than before'
"$floe" key trust "$thief_key" 2>/dev/null
refused 'signed by another key than before'
cp -r "$apps" "$www/theirs"
"$floe" key revoke "$thief_key" 2>/dev/null
expect 126 'was revoked' -- "$floe" add "$url/theirs" --as theirs
expect 126 'floe key trust [0-9a-f]{64}' -- env XDG_CONFIG_HOME="$scratch/stranger" "$floe" add "$url/apps"
cp "$scratch/list.2" "$list"

note "a damaged list"
expect 0 -- "$floe" repo sign "$apps"
cp "$list" "$scratch/list.2"
sed 's/"hello"/"hallo"/' "$scratch/list.2" >"$list"
expect 125 'signature is wrong' -- "$floe" update
head -c 1000 "$scratch/list.2" >"$list"
expect 125 'signature is wrong' -- "$floe" update
echo '<html>Please log in</html>' >"$list"
expect 125 "not a repository's list" -- "$floe" update
expect 125 "not a repository's list" -- "$floe" repo add "$apps" "$scratch/hello-1.9.floe"
: >"$list"
expect 125 -- "$floe" update
rm "$list"
expect 125 'no such file' -- "$floe" update
says 'this is hello 1.10' hello
cp "$scratch/list.2" "$list"
expect 0 -- "$floe" update
printf damage | dd of="$lists/apps/list" bs=1 seek=500 conv=notrunc status=none
expect 0 -- "$floe" update
cmp -s "$scratch/list.2" "$lists/apps/list" || fail "a damaged stored list is not fetched again"

note "another package under a listed address"
address=$(sed -n 's/^ *"url": "\(packages.hello-1\.10-.*\)",*/\1/p' "$list")
cp "$apps/$address" "$scratch/kept.floe"
cat "$scratch/first-1.9.floe" >"$apps/$address"
rm -rf "$home/.cache/floe/chunks.dat" "$home/.cache/floe/cache.db"* "$home/.cache/floe/index"
"$floe" stop --all >/dev/null 2>&1
holder_leave
expect 126 "is not the package that the repository's list names" -- timeout 60 "$floe" run hello
expect 126 'is not the package that the list of apps names' -- "$floe" verify hello
cat "$scratch/kept.floe" >"$apps/$address"
says 'this is hello 1.10' hello

note "a mirror serves while the server is away; one that is behind is refused"
expect 0 -- "$floe" repo sign "$apps" --mirror "$url/mirror"
cp -r "$apps/." "$www/mirror"
expect 0 -- "$floe" update
mv "$list" "$scratch/list.away"
expect 0 -- "$floe" update
grep -q 'nothing new' "$out" || fail "the mirror is not asked"
grep -q 'a mirror has served' "$err" || { cat "$err"; fail "nothing is said of the mirror"; }
cp "$scratch/list.2" "$www/mirror/repository.json"
expect 126 'mirror/.*an old list' -- "$floe" update
mv "$scratch/list.away" "$list"
expect 0 -- "$floe" update

expect 0 -- "$floe" stop --all
rm -rf "$home/.cache/floe/chunks.dat" "$home/.cache/floe/cache.db"* "$home/.cache/floe/index"
holder_leave
mv "$apps/$address" "$scratch/away.floe"
says 'this is hello 1.10' hello
grep -q "GET /mirror/$address 206" "$access_log" || fail "the mirror has not served the package"
expect 0 -- "$floe" verify hello
mv "$scratch/away.floe" "$apps/$address"

note "a list expires"
days_ago() { echo $(($(date +%s) - 86400 * $1)); }
mkdir "$www/old"
expect 0 -- env SOURCE_DATE_EPOCH="$(days_ago 100)" "$floe" repo add "$www/old" "$scratch/hello-1.9.floe" --valid 300
expect 0 -- "$floe" add "$url/old"
expect 0 -- env SOURCE_DATE_EPOCH="$(days_ago 50)" "$floe" repo sign "$www/old" --valid 40
expect 126 'the list has expired .*repo sign' -- "$floe" update old
cp -r "$www/old" "$www/older"
expect 126 'older/.*the list has expired' -- "$floe" add "$url/older/" --as older
sed -i "s/^expires .*/expires $(days_ago 1)/" "$home/.config/floe/repositories/old"
sed -i "s/^\(floe-names.1.\).*/\1$(days_ago 1)/" "$lists/old/names"
expect 0 -- "$floe" list
grep -q 'old .*EXPIRED' "$out" || { cat "$out"; fail "floe list does not say that the list has expired"; }
says 'this is hello 1.9' old/hello --env old
grep -q 'the list of old has expired' "$err" || { cat "$err"; fail "floe run does not say it"; }
expect 0 -- "$floe" repo sign "$www/old" --valid 30
expect 0 -- "$floe" update old
expect 0 -- "$floe" remove old
expect 125 'give a number of days' -- "$floe" repo sign "$apps" --valid 0

note "two repositories with one name in them"
mkdir "$www/lab"
expect 0 -- "$floe" repo add "$www/lab" "$scratch/hello-1.9.floe" "$scratch/other-3:4.8~rc-1.floe"
expect 0 'added lab' -- "$floe" add "$www/lab"
expect 125 'hello is in .*(apps|lab).* say which, as in (apps|lab)/hello' -- "$floe" run hello
says 'this is hello 1.9' lab/hello --env lab
says 'this is other 3:4.8~rc-1' other
expect 0 'removed lab' -- "$floe" remove lab
[ ! -e "$lists/lab" ] || fail "remove leaves the list"

note "offline"
stop_serving
expect 125 'stays in use' -- "$floe" update
"$floe" stop --all >/dev/null 2>&1
holder_leave
says 'this is hello 1.10' --offline hello
expect 0 'removed apps' -- "$floe" remove "$url/apps"
expect 125 'neither a file nor a package' -- "$floe" run hello
expect 125 'no such subscription' -- "$floe" remove apps

note "a publisher that is killed"
head -c 8000000 /dev/urandom >"$scratch/tree-other-3:4.8~rc-1/share/large"
cp "$list" "$scratch/good"
for round in $(seq 12); do
	make other "5.$round"
	"$floe" repo add "$apps" "$scratch/other-5.$round.floe" >/dev/null 2>&1 &
	publisher=$!
	sleep "0.0$((round * 7))"
	kill -KILL "$publisher" 2>/dev/null
	wait "$publisher" 2>/dev/null
	expect 0 -- "$floe" repo list "$apps" --json
	python3 -c '
import json, os, sys
r = json.load(open(sys.argv[2]))
for p in r["packages"]:
    assert os.path.getsize(os.path.join(sys.argv[1], p["url"])) == p["bytes"], p
' "$apps" "$out" || fail "round $round: the list names what is not there"
done
expect 0 -- "$floe" repo add "$apps" "$scratch/other-5.12.floe"
[ -z "$(find "$apps" -name '.floe-new-*' -o -name '*.tmp-*')" ] || fail "leftovers of a killed publisher stay"
expect 0 'removed other 5.12' -- "$floe" repo remove "$apps" other
[ -z "$(find "$apps/packages" -name 'other-5.12-*')" ] || fail "the file of a removed package stays"
expect 0 -- "$floe" repo list "$apps"
grep -q '^other' "$out" && fail "other is in the list still"
exit 0
