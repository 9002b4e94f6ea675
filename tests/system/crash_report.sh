#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=quick users=root,user timeout=120
# A process of floe's that dies by a signal leaves a report, one in ten minutes for each program; who uses it does not
# notice.
. "$(dirname "$0")/setup.sh"

make_box 2
reports=$home/.local/state/floe/crashes

count() { # PROGRAM
	find "$reports" -name "$1-2*.txt" 2>/dev/null | wc -l
}
has() { [ "$(count "$1")" -ge "$2" ]; }
report_of() { cat "$reports/$1"-2*.txt; }

in_box c sh -c 'i=0; while [ ! -e "$1/end" ]; do cat /opt/box/share/data | cksum; cat /opt/box/share/many/* | cksum
	i=$((i+1)); echo $i >"$1/round"; ls -lR /opt/box >/dev/null; done; echo finished' sh /tmp >"$scratch/busy" 2>&1 &
busy=$!
until_true 20 [ -s "$scratch/busy" ] || fail "the application does not start"

note "a package server that dies of a bad access"
pid=$(floe_pids floe-package-server)
[ -n "$pid" ] || fail "no package server"
kill -SEGV "$pid"
until_true 10 has floe-package-server 1 || fail "no report"
report_of floe-package-server >"$scratch/report"
for words in 'program   floe-package-server' "process   $pid" 'signal    11 (SIGSEGV, sent by process' 'ran for   ' \
	"served    --source $box" 'last requests of' 'read  *node ' '#[4-9] .*floe-package-server+0x' 'r-xp'; do
	grep -q "$words" "$scratch/report" || { cat "$scratch/report"; fail "the report does not say: $words"; }
done
[ "$(stat -c %a "$reports"/floe-package-server-2*)" = 600 ] || fail "others can read the report"

note "it was replaced; another death within ten minutes is not reported"
other() { local now; now=$(floe_pids floe-package-server) && [ -n "$now" ] && [ "$now" != "$pid" ]; }
until_true 10 other || fail "no other package server"
kill -0 "$busy" 2>/dev/null || { cat "$scratch/busy"; fail "the application ended"; }
pid=$(floe_pids floe-package-server)
kill -ABRT "$pid"
until_true 10 other || fail "no third package server"
expect 0 -- in_box c sh -c 'cksum </opt/box/share/data; cat /opt/box/share/many/* | cksum; : >/tmp/end'
wait "$busy" || { tail "$scratch/busy"; fail "the application did not finish"; }
[ "$(sort "$scratch/busy" | uniq | wc -l)" = 3 ] || { sort "$scratch/busy" | uniq -c; fail "wrong bytes"; }
[ "$(count floe-package-server)" = 1 ] || fail "$(count floe-package-server) reports"

note "killed: no stack, but the requests"
rm "$reports"/*
expect 0 -- in_box c test ! -e /opt/box/not/there # what nobody has asked before reaches the server
expect 0 -- in_box c test ! -e /opt/box/not-there
pid=$(floe_pids floe-package-server)
kill -KILL "$pid"
until_true 10 has floe-package-server 1 || fail "no report"
report_of floe-package-server >"$scratch/report"
grep -q 'SIGKILL, perhaps for lack of memory' "$scratch/report" && grep -q 'last requests of' "$scratch/report" ||
	{ cat "$scratch/report"; fail "the report on a killed server"; }
until_true 10 other || fail "no fourth package server"

note "ended in peace: no report"
rm "$reports"/*
pid=$(floe_pids floe-package-server)
kill -TERM "$pid"
until_true 10 other || fail "no fifth package server"
expect 0 -- in_box c true
! has floe-package-server 1 || fail "a report on a server that was told to end"

note "a state directory that cannot be written is nobody's error"
rm -r "$reports" && : >"$reports"
pid=$(floe_pids floe-package-server)
kill -SEGV "$pid"
until_true 10 other || fail "no sixth package server"
expect 0 -- in_box c cat /opt/box/share/note
rm "$reports"

note "the holder itself"
pid=$(holder_pids)
kill -SEGV "$pid"
until_true 10 has floe-holder 1 || fail "no report on the holder"
report_of floe-holder >"$scratch/report"
grep -q "process   $pid" "$scratch/report" && grep -q 'floe-holder+0x' "$scratch/report" ||
	{ cat "$scratch/report"; fail "the report on the holder"; }
expect 0 -- in_box c true
"$floe" doctor >"$out" 2>&1
grep -q 'crash reports *1 in the last week' "$out" || { cat "$out"; fail "doctor does not say"; }
! find "$home" "$scratch" -name 'core*' -type f 2>/dev/null | grep . || fail "a core file"
