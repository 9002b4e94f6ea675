#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=normal users=root,user timeout=240
# The network goes while an application reads: by default it waits, its user is told, and all goes on by itself;
# --on-loss=fail gives EIO. One that waits ends at once on Ctrl-C and SIGKILL. With mirrors nobody notices.
. "$(dirname "$0")/setup.sh"
command -v script >/dev/null || skip "script is not installed"

make_box 8
mkdir "$scratch/www" "$scratch/www2"
mv "$box" "$scratch/www/box.floe"
serve_dir "$scratch/www" "limit_rate 2m;"
box=$url/box.floe

# The application has read all of it, right.
compare() { cmp "$scratch/copy" "$scratch/tree/share/data" || fail "wrong bytes"; }

# The page cache and ours would answer without the network.
forget() {
	"$floe" stop --all >/dev/null 2>&1
	holder_leave
	rm -rf "${XDG_CACHE_HOME:-$home/.cache}/floe"
}

# The server takes connections and says nothing, as behind a dead link; or does so again.
freeze() { kill -STOP "$nginx_pid" $(pgrep -P "$nginx_pid"); }
thaw() { kill -CONT "$nginx_pid" $(pgrep -P "$nginx_pid"); }
at_end+=("thaw 2>/dev/null")

# start TERMINAL-OUTPUT OPTIONS...: an application with a terminal that says "ready", waits for the file go, and reads.
# Reading starts only behind the primary feature block: the data was never touched by a launch.
start() {
	local to=$1

	shift
	rm -f "$scratch/go"
	env --default-signal=INT,QUIT script -qefc "exec '$floe' run --share '$scratch' $* --command box '$box' -- sh -c 'echo ready
		while [ ! -e $scratch/go ]; do sleep 0.05; done
		cat /opt/box/share/data >$scratch/copy; echo status \$?'" /dev/null >"$to" 2>&1 </dev/null &
	app=$!
	until_true 30 grep -q ready "$to" || { cat "$to"; fail "the application does not start"; }
}

note "by default it waits, says so, and goes on"
start "$scratch/tty"
freeze
touch "$scratch/go"
until_true 60 grep -q "waiting for the network since" "$scratch/tty" || { cat "$scratch/tty"; fail "nothing is said"; }
grep -q "127.0.0.1:$port" "$scratch/tty" || fail "it is not said what is waited for"
thaw
until_true 60 grep -q "status 0" "$scratch/tty" || { cat "$scratch/tty"; fail "it does not go on"; }
wait "$app"
compare
grep -q "the network is back" "$scratch/tty" || { cat "$scratch/tty"; fail "the return is not told"; }

note "fail:2 is EIO"
forget
start "$scratch/tty" --on-loss=fail:2
freeze
touch "$scratch/go"
until_true 60 grep -q "Input/output error" "$scratch/tty" || { cat "$scratch/tty"; fail "no EIO"; }
thaw
wait "$app"

note "killed and interrupted while it waits"
for signal in KILL INT; do
	forget
	start "$scratch/tty"
	freeze
	touch "$scratch/go"
	until_true 60 grep -q "waiting for the network" "$scratch/tty" || { cat "$scratch/tty"; fail "nothing is said"; }
	pid=$(pgrep -n -f "^cat /opt/box/share/data" -u "$(id -u)") || fail "nobody reads"
	kill -"$signal" "$pid"
	until_true 20 sh -c "! kill -0 $pid 2>/dev/null || grep -q 'State:.*Z' /proc/$pid/status" ||
		fail "a waiting application does not end on SIG$signal"
	thaw
	wait "$app"
done

note "two origins, of which one dies while the application reads"
forget
serve_first=$nginx_pid
at_end+=("kill -CONT $serve_first 2>/dev/null; kill $serve_first 2>/dev/null")
cp "$scratch/www/box.floe" "$scratch/www2/box.floe"
serve_dir "$scratch/www2"
start "$scratch/tty" --mirror "$url/box.floe"
kill "$serve_first"
touch "$scratch/go"
until_true 60 grep -q "status 0" "$scratch/tty" || { cat "$scratch/tty"; fail "the mirror is not used"; }
wait "$app"
compare
[ "$(requests)" -gt 0 ] || fail "the mirror was not asked"
grep -q "waiting for" "$scratch/tty" && fail "with a mirror there is nothing to wait for"

note "a first origin that is something else"
forget
mkdir "$scratch/portal"
head -c 5000 /dev/zero | tr '\0' x >"$scratch/portal/box.floe"
kill "$nginx_pid"
serve_dir "$scratch/portal"
portal=$url portal_pid=$nginx_pid
at_end+=("kill $portal_pid 2>/dev/null")
serve_dir "$scratch/www2"
mirror=$url/box.floe
expect 0 -- "$floe" run --mirror "$mirror" --command box "$portal/box.floe" -- cat /opt/box/share/data
cmp "$out" "$scratch/tree/share/data" || fail "wrong bytes"
expect 125 'http:// or https://' -- "$floe" run --mirror /tmp/x "$portal/box.floe"
