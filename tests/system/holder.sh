#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=quick users=root,user timeout=120
# What the holder keeps and lets go of: its caller's pipes, idle environments, an environment that another
# session's holder has mounted, a package that is replaced under its name.
. "$(dirname "$0")/setup.sh"

make_box 1

note "the first launch's pipe closes with it, though the holder stays"
said=$(timeout 20 "$floe" run --env pipe --command box "$box" -- echo said 2>&1 | cat)
[ "$said" = said ] || fail "the pipe gave \"$said\""
[ -n "$(holder_pids)" ] || fail "no holder stayed"

note "two launches at once share one environment"
in_box shared sh -c 'echo one >/tmp/floe-holder-shared; sleep 3' &
until_true 20 in_box shared test -f /tmp/floe-holder-shared || fail "a second launch does not see the first one's file"
expect 1 -- in_box other test -f /tmp/floe-holder-shared
wait %1

note "another session of the same user takes an idle environment over, and is refused a busy one"
mkdir -m 700 "$scratch/session"
in_session() { XDG_RUNTIME_DIR=$scratch/session in_box "$@"; }
expect 0 -- in_session shared cat /tmp/floe-holder-shared
mkfifo "$scratch/go"
in_session shared sh -c 'echo up; read -r go; true' <"$scratch/go" >"$scratch/said" &
exec 8>"$scratch/go"
until_true 20 grep -q up "$scratch/said" || fail "the session's launch does not start"
expect 125 "held by another session" -- in_box shared true
exec 8>&-
wait %1 || fail "the session's own launch was disturbed"

note "launches that all start a holder get one, and all run"
"$floe" stop --all >/dev/null
holder_leave
for i in $(seq 5); do in_box "once$i" true & done
for job in $(jobs -p); do wait "$job" || fail "a launch that met others starting a holder failed"; done
[ "$(holder_pids | wc -l)" = 1 ] || fail "holders: $(holder_pids)"

note "a package that does not open leaves no environment that it would have had, and takes none away"
envs=${XDG_DATA_HOME:-$home/.local/share}/floe/envs
head -c 100000 "$box" >"$scratch/cut.floe"
expect 0 -- in_box kept touch /opt/box/mine
expect 125 -- timeout 20 "$floe" run --env never --command box "$scratch/cut.floe"
expect 125 -- timeout 20 "$floe" run --ephemeral --command box "$scratch/cut.floe"
expect 125 -- timeout 20 "$floe" run --env kept --command box "$scratch/cut.floe"
for _ in $(seq 50); do [ ! -e "$envs/never" ] && break; sleep 0.1; done
ls -A "$envs" >"$out"
grep -qE '^(never|tmp-.*)$' "$out" && { cat "$out"; fail "an environment is left"; }
expect 0 -- in_box kept test -f /opt/box/mine

note "a launch that is interrupted while its package opens leaves nothing either"
python3 -c 'import socket, time
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(9); print(s.getsockname()[1], flush=True); time.sleep(60)' >"$scratch/silent" &
silent=$!
until_true 5 test -s "$scratch/silent" || fail "no silent server"
"$floe" run --env never --command box "http://127.0.0.1:$(cat "$scratch/silent")/box.floe" 2>/dev/null &
until_true 10 test -e "$envs/never" || fail "the environment is not begun while the package opens"
kill -TERM $!
wait $!
until_true 10 test ! -e "$envs/never" || fail "the environment of an interrupted launch is left"
kill "$silent"
wait "$silent" 2>/dev/null
expect 0 -- in_box kept test -f /opt/box/mine

note "a package replaced under its name is run as the new one, when nobody uses the old"
mkdir "$scratch/new"
make_box_tree "$scratch/new" 1
echo renewed >"$scratch/new/share/note"
expect 0 -- in_box renew cat /opt/box/share/note
"$floe" sequence -q --from-dir "$scratch/new" --prefix /opt/box --name box -o "$scratch/box.floe.new" || fail "sequence"
mv "$scratch/box.floe.new" "$box"
expect 0 -- in_box renew cat /opt/box/share/note
[ "$(cat "$out")" = renewed ] || fail "still the old package: $(cat "$out")"

note "a link that an application leaves in place of a directory leads nowhere"
envs=${XDG_DATA_HOME:-$home/.local/share}/floe/envs
expect 0 -- in_box link sh -c 'mkdir /opt/victim && echo kept >/opt/victim/file'
"$floe" stop --all >/dev/null
holder_leave
mkdir "$scratch/outside"
rm -rf "$envs/link/upper/opt"
ln -s "$scratch/outside" "$envs/link/upper/opt"
expect 125 "not a plain directory" -- in_box link true
[ -z "$(ls -A "$scratch/outside")" ] || fail "something was written through the link"
expect 0 -- "$floe" env reset link --yes
expect 0 -- in_box link true

note "idle environments go, then the holder"
"$floe" stop --all >/dev/null
holder_leave
export FLOE_IDLE_SECONDS=2
expect 0 -- in_box idle true
in_box stays sh -c 'read -r go; true' <"$scratch/go" &
exec 8>"$scratch/go"
until_launched stays
idle_has_gone() { "$floe" ps --json >"$out" 2>"$err" && ! grep -q '"idle"' "$out"; }
until_true 20 idle_has_gone || { cat "$out"; fail "an idle environment is kept"; }
grep -q '"stays"' "$out" || { cat "$out"; fail "a busy environment has gone"; }
exec 8>&-
wait %1
until_true 10 no_holder || fail "the idle holder stays"
