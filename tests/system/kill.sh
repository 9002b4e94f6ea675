#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=normal users=root,user timeout=400
# SIGKILL at random moments, ten times each: of floe, of the application, of the package server, of the holder.
# Afterwards the next launch works, and no mount, process, lock or temporary file is left that it does not clean.
. "$(dirname "$0")/setup.sh"

make_box 4
www=$scratch/www
mkdir "$www" && mv "$box" "$www/box.floe"
serve_dir "$www"
box=$url/box.floe
seed=${FLOE_SEED:-$RANDOM}
RANDOM=$seed
note "seed $seed (FLOE_SEED=$seed repeats it)"

# Reads the whole package again and again, and writes, until it has read `rounds` times.
cat >"$home/busy.sh" <<'EOS'
i=0
while [ $i -lt ${1:-1000} ]; do
	cat /opt/box/share/data | cksum >/tmp/floe-kill-sum || exit 9
	cat /opt/box/share/many/* >/tmp/floe-kill-many || exit 8
	echo $i >"$HOME/round"
	i=$((i+1))
done
echo finished
EOS

foreign_mounts() {
	grep -cE 'floe|/opt/box' /proc/self/mountinfo
}
mounts_before=$(foreign_mounts)

works_again() { # AFTER WHAT
	expect 0 -- in_box k sh -c 'cksum </opt/box/share/data; cat /opt/box/share/many/* | cksum'
	cksum <"$scratch/tree/share/data" >"$scratch/want"
	(cd "$scratch/tree/share/many" && LC_ALL=C.UTF-8 cat -- * | cksum) >>"$scratch/want"
	cmp -s "$out" "$scratch/want" || fail "wrong bytes after $1"
	[ "$(foreign_mounts)" = "$mounts_before" ] || { cat /proc/self/mountinfo; fail "a mount is left after $1"; }
}

pause_a_moment() {
	sleep "0.$(printf '%03d' $((RANDOM % 400)))"
}

start_busy() {
	in_box k sh "$home/busy.sh" >"$scratch/busy" 2>&1 &
	busy=$!
}

no_busy() { [ -z "$(pgrep -u "$(id -u)" -f '^sh .*busy\.sh')" ]; }
nothing_left() { [ -z "$(floe_pids '')" ]; }

only_expected_processes() { # AFTER WHAT
	# Applications are gone; the holder and its servers may wait for the next launch.
	until_true 10 no_busy ||
		{ ps -u "$(id -u)" -o pid,ppid,args; fail "the application outlives $1"; }
}

kill_some() { # NAME PATTERN-FUNCTION
	local round pid

	for round in 1 2 3 4 5 6 7 8 9 10; do
		[ $((round % 3)) -ne 0 ] || rm -rf "$home/.cache/floe" # cold every third time
		start_busy
		pause_a_moment
		for pid in $("$2"); do kill -KILL "$pid" 2>/dev/null; done
		if [ "$1" = "package server" ]; then
			sleep 0.3 # its death is invisible: the application goes on
			kill -0 "$busy" 2>/dev/null || { cat "$scratch/busy"; fail "the application ended (round $round)"; }
			kill -TERM "$(floe_of_busy)" 2>/dev/null
		fi
		wait "$busy" 2>/dev/null
		only_expected_processes "$1 (round $round)"
		works_again "a killed $1 (round $round)"
	done
	note "ten kills of the $1"
}

floe_of_busy() { pgrep -P "$busy" -x floe || echo "$busy"; }
app_of_busy() { pgrep -u "$(id -u)" -f '^sh .*busy\.sh' | tail -n 1; }
package_servers() { floe_pids floe-package-server; }

kill_some floe floe_of_busy
kill_some application app_of_busy
kill_some "package server" package_servers
kill_some holder holder_pids

note "nothing is left when the holder goes"
"$floe" stop --all >/dev/null 2>&1
holder_leave
until_true 10 nothing_left ||
	{ ps -u "$(id -u)" -o pid,ppid,args; fail "processes are left"; }
left=$(find "$home/.local/share/floe" "$home/.cache/floe" "$home/.config/floe" -name '*.tmp-*' -o -name '.*.new' 2>/dev/null)
[ -z "$left" ] || fail "temporary files are left: $left"
expect 0 -- "$floe" env reset --yes k
expect 0 -- "$floe" env remove --yes k
expect 0 -- "$floe" cache verify
works_again "everything"
