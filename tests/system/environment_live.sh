#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=quick users=root,user timeout=120
# An environment that an application has written in: compared with its package and the host, seen running,
# refused to be reset while it does, stopped, reset and removed.
. "$(dirname "$0")/setup.sh"
make_box 1

expect_text() { # WHAT, text is in $scratch/said
	[ "$(cat "$scratch/said")" = "$2" ] || fail "$1:"$'\n'"$(cat "$scratch/said")"$'\n'"instead of"$'\n'"$2"
}

note "a diff against the package"
in_box live sh -c '
	cd /opt/box/share && echo more >>note && rm many/7 && touch new && chmod 600 many/8 &&
	exec 3<>many/9 3>&- && rm -r ../empty && ln -sfn data ../bin/link &&
	mv many old && mkdir many && echo "file 1" >many/1 && mkdir -m 0 closed' >"$scratch/said" 2>&1 || fail "the application: $(cat "$scratch/said")"
"$floe" env diff live >"$scratch/said" 2>&1 || fail "env diff: $(cat "$scratch/said")"
grep -c '^D /opt/box/share/many/' "$scratch/said" >"$scratch/hidden"
[ "$(cat "$scratch/hidden")" = 199 ] || fail "the opaque directory hides $(cat "$scratch/hidden") files, not 199"
[ "$(grep -c '^A /opt/box/share/old/' "$scratch/said")" = 200 ] || fail "the renamed directory: $(cat "$scratch/said")"
grep -v '^D /opt/box/share/many/\|^A /opt/box/share/old/' "$scratch/said" | grep ' /opt/' >"$scratch/rest"
mv "$scratch/rest" "$scratch/said"
expect_text "the diff" "M /opt/box/bin/link
D /opt/box/empty/
A /opt/box/share/closed/
m /opt/box/share/many/1
A /opt/box/share/new
M /opt/box/share/note"

note "while it runs"
in_box live sleep 300 &
run=$!
until_launched live
"$floe" env list | grep -q '^live .* 1$' || fail "floe env list does not show it running"
"$floe" env reset live --yes >"$scratch/said" 2>&1
[ $? -eq 125 ] || fail "a reset while it runs: $(cat "$scratch/said")"
expect_text "a reset while it runs" "floe: environment live is in use; floe stop live"
"$floe" stop live || fail "floe stop"
wait "$run"
status=$?
[ "$status" -eq 143 ] || fail "the launch that was stopped ended with $status, not 143"
"$floe" stop live >"$scratch/said" 2>&1 || fail "to stop what has stopped: $(cat "$scratch/said")"

note "afterwards"
"$floe" env reset live --yes || fail "reset"
"$floe" env diff live >"$scratch/said" 2>&1 || fail "diff after a reset"
grep -q ' /opt/' "$scratch/said" && fail "after a reset: $(cat "$scratch/said")"
in_box live test ! -e /opt/box/share/new || fail "what was reset is still there"
"$floe" env remove live --yes || fail "remove"
"$floe" env show live 2>/dev/null && fail "still there"
"$floe" doctor || fail "floe doctor, where floe does run"
