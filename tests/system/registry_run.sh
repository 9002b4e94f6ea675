#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=normal users=root,user timeout=180
# Settings of a packaged application by key: written by programs, read and changed by `floe registry` while and
# after it runs, kept over restarts and kills, merged with the defaults of package and host, never in the host.
. "$(dirname "$0")/setup.sh"

make_box_tree "$scratch/tree" 1
mkdir -p "$scratch/tree/etc" "$home/.config/box"
printf '; vendor\n[look]\nskin = default\nlines=25\n' >"$scratch/tree/etc/box.ini"
printf '# mine\n[host]\nname=real\n' >"$home/.config/box/host.ini"
pack_box --config /opt/box/etc/box.ini:ini --config @config/box/host.ini:ini --config @config/box/new.ini:ini \
	--config @config/box/made/new.ini:ini --config @home/.boxrc:ini
host=$(cat "$home/.config/box/host.ini")

run() { in_box box "$@"; }
reg() { "$floe" registry "$@" --env box; }

note "defaults of the package and of the host"
prints $'; vendor\n[look]\nskin = default\nlines=25' run cat /opt/box/etc/box.ini
prints "$host" run sh -c 'cat $HOME/.config/box/host.ini'
key=$(reg list --json | sed -n 's/.*"file": "\(.*box\.ini\)".*/\1/p' | head -n 1)
[ -n "$key" ] || fail "registry list shows no box.ini: $(reg list)"
prints default reg get "$key:look/skin"
prints real reg get config/box/host.ini:host/name

note "programs write, keys change"
run sed -i 's/default/dark/' /opt/box/etc/box.ini || fail "sed -i"
prints dark reg get "$key:look/skin"
run sh -c 'printf "[a b]\nc d = e\n" > $HOME/.config/box/new.ini' || fail "redirection"
prints e reg get "config/box/new.ini:a b/c d"
run sh -c 'cd $HOME/.config/box && sed s/real/changed/ host.ini > t && mv t host.ini' || fail "rename"
prints changed reg get config/box/host.ini:host/name
[ "$(cat "$home/.config/box/host.ini")" = "$host" ] || fail "the host's file was changed"
[ ! -e "$home/.config/box/new.ini" ] || fail "a file appeared in the host's home"
prints "$key:look/skin: default -> dark" sh -c "'$floe' registry diff '$key' --env box"

note "what a run makes, moves and removes is in the listings of that run"
prints $'made: new.ini\nremoved:\nmoved: new.ini\nold\nback: new.ini' run sh -c 'cd $HOME/.config/box && mkdir made && cd made
	list() { echo "$1:" $(ls); }
	printf "[s]\na=1\n" >new.ini; list made; rm new.ini; list removed
	printf "[s]\na=1\n" >old; mv old new.ini; list moved; mv new.ini old; ls; cp old new.ini; rm old; list back'
prints new.ini run ls "$home/.config/box/made"

note "changed from outside while it runs"
mkfifo "$scratch/go"
in_box box sh -c "echo up; read x; cat /opt/box/etc/box.ini" <"$scratch/go" >"$scratch/seen" 2>&1 &
app=$!
exec 3>"$scratch/go"
until_true 20 grep -q up "$scratch/seen" || fail "the application does not start"
reg set "$key:look/skin" blue || fail "registry set"
echo >&3
exec 3>&-
wait "$app" || fail "the application: $(cat "$scratch/seen")"
grep -q 'skin = blue' "$scratch/seen" || fail "a running application does not see it: $(cat "$scratch/seen")"

note "kept over a stop, and removed"
run sh -c 'echo anything at all > $HOME/.boxrc' || fail "an opaque file"
"$floe" stop --all >/dev/null 2>&1
holder_leave
prints 'anything at all' run sh -c 'cat $HOME/.boxrc'
prints blue reg get "$key:look/skin"
reg unset "$key:look/skin" || fail "registry unset"
prints FAILS reg get "$key:look/skin"
prints $'; vendor\n[look]\nlines=25' run cat /opt/box/etc/box.ini
run sh -c 'rm $HOME/.config/box/host.ini; ! test -e $HOME/.config/box/host.ini' || fail "rm"
prints FAILS reg get config/box/host.ini:host/name
run sh -c '! test -e $HOME/.config/box/host.ini' || fail "a removed file is back"

note "killed in the middle of a save"
run sh -c 'exec 3>>$HOME/.config/box/new.ini; printf "late=1\n" >&3; kill -9 $$' >/dev/null 2>&1
prints e reg get "config/box/new.ini:a b/c d"
run cat /dev/null
until_true 10 sh -c "'$floe' registry get 'config/box/new.ini:a b/late' --env box >/dev/null 2>&1" ||
	fail "what was written before the kill is lost: $(reg list)"
