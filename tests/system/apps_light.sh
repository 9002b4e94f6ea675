#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=normal users=root,user timeout=600
# Real packages from apt, sequenced by their ordinary installer, streamed from nginx and run: a terminal program,
# one in Python, one in Perl, a static binary, a daemon. Nothing of them is installed here before or after.
. "$(dirname "$0")/setup.sh"
command -v tmux >/dev/null || skip "tmux is not installed"

www=$scratch/www
mkdir "$www"
dpkg -l >"$scratch/dpkg"

# take PACKAGE COMMAND [LAUNCH]: sequences an apt package; skips what is installed here anyway.
take() {
	local lists='' launch=()

	command -v "$2" >/dev/null && { note "$2 is installed here; not sequenced"; return 1; }
	ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1 || lists='apt-get update -qq && '
	[ -z "${3:-}" ] || launch=(--launch "$3")
	"$floe" sequence -q -o "$www/$1.floe" --name "$1" "${launch[@]}" -- \
		sh -c "$lists apt-get install -y --no-install-recommends $1" >"$scratch/sequence.log" 2>&1 </dev/null || {
		tail -n 40 "$scratch/sequence.log"
		fail "sequencing $1"
	}
	! command -v "$2" >/dev/null || fail "$2 appeared on the host"
	dpkg -l | cmp -s "$scratch/dpkg" - || fail "dpkg's list changed"
	note "$1: $(stat -c %s "$www/$1.floe") bytes"
}

app() { # PACKAGE COMMAND ARGS...
	local package=$1 command=$2

	shift 2
	"$floe" run --env "$package" --command "$command" "$url/$package.floe" -- "$@"
}

serve_dir "$www"

if take mc mc 'mc --version'; then
	expect 0 -- app mc mc --version
	grep -q 'GNU Midnight Commander' "$out" || fail "mc --version"
	tmux -L "floe-$$" -f /dev/null new-session -d -x 100 -y 30 \
		"env TERM=screen '$floe' run --env mc --command mc '$url/mc.floe'; echo status=\$? >'$scratch/mc-status'"
	at_end+=("tmux -L floe-$$ kill-server 2>/dev/null")
	screen() { tmux -L "floe-$$" capture-pane -p 2>/dev/null; }
	shows() { screen | grep -qE "$1"; }
	until_true 30 shows '10 ?Quit' || { screen; fail "mc does not draw its screen"; }
	screen >"$scratch/screen"
	tmux -L "floe-$$" send-keys F10
	sleep 0.5
	if shows 'Do you really'; then tmux -L "floe-$$" send-keys Enter; fi
	until_true 20 test -s "$scratch/mc-status" || { screen; fail "mc does not end"; }
	grep -q 'status=0' "$scratch/mc-status" || fail "mc: $(cat "$scratch/mc-status")"
	expect 0 -- "$floe" registry diff --env mc
	grep -q 'config/mc/ini:' "$out" || { cat "$out"; fail "mc's settings are not keys"; }
	[ ! -e "$home/.config/mc" ] || fail "mc wrote into the real home"
	expect 0 -- "$floe" registry set --env mc 'config/mc/ini:Midnight-Commander/use_internal_edit' 0
	expect 0 -- "$floe" registry get --env mc 'config/mc/ini:Midnight-Commander/use_internal_edit'
	grep -qx 0 "$out" || fail "registry get: $(cat "$out")"
	expect 0 -- app mc /bin/sh -c 'cat ~/.config/mc/ini'
	grep -q '^use_internal_edit=0' "$out" || fail "the key that was set is not in the file that the application reads"
	note "warm: nothing is asked but whether it is still the same, and not even that in the two seconds behind an answer"
	sleep 2.1
	before=$(requests)
	begun=$(date +%s%N)
	expect 0 -- app mc mc --version
	asked=$(requests)
	[ "$asked" -le $((before + 1)) ] || { tail -n 5 "$access_log"; fail "a warm start asked for more"; }
	[[ "$(tail -n 1 "$access_log")" = *'"bytes=0-4095"'* ]] ||
		{ tail -n 1 "$access_log"; fail "a warm start asked for content"; }
	expect 0 -- app mc mc --version
	[ $((($(date +%s%N) - begun) / 1000000)) -ge 2000 ] || [ "$(requests)" = "$asked" ] ||
		{ tail -n 1 "$access_log"; fail "another launch at once asked again"; }
fi

if take python3-pygments pygmentize 'pygmentize -V'; then
	expect 0 -- app python3-pygments pygmentize -V
	grep -q 'Pygments version' "$out" || fail "pygmentize -V"
	echo 'int main(void) { return 0; }' >"$home/x.c"
	expect 0 -- app python3-pygments pygmentize -l c -f html "$home/x.c"
	grep -q '<span' "$out" || fail "pygmentize does not colour"
fi

if take cowsay cowsay 'cowsay x'; then # Perl
	expect 0 -- app cowsay cowsay moo
	grep -q '< moo >' "$out" || fail "cowsay: $(cat "$out")"
fi

# A static shell: the library that is preloaded into others never sees it.
if take bash-static bash-static 'bash-static -c true'; then
	expect 0 -- app bash-static bash-static -c 'echo static; exit 0'
	[ "$(cat "$out")" = static ] || fail "bash-static"
	expect 3 -- app bash-static bash-static -c 'exit 3'
	expect 0 -- app bash-static bash-static -c 'echo kept >"$HOME/from-static"; echo "$(<"$HOME/from-static")"'
	[ ! -e "$home/from-static" ] || fail "a static program wrote into the real home"
fi

if take redis-server redis-server 'redis-server --version'; then
	expect 0 -- app redis-server redis-server --daemonize yes --port 0 --unixsocket "$home/redis.sock" \
		--dir "$home" --pidfile "$home/redis.pid" --logfile "$home/redis.log"
	pong() { app redis-server redis-cli -s "$home/redis.sock" ping 2>/dev/null | grep -q PONG; }
	until_true 15 pong || fail "the daemon does not answer in its environment"
	expect 0 -- "$floe" ps --json
	grep -q redis-server "$out" || fail "floe ps does not show the daemon"
	expect 0 -- app redis-server redis-cli -s "$home/redis.sock" shutdown nosave
	until_true 15 sh -c '[ -z "$(pgrep -u "$(id -u)" -x redis-server)" ]' || fail "the daemon does not end"
	expect 0 -- app redis-server redis-server --daemonize yes --port 0 --unixsocket "$home/redis.sock" --dir "$home"
	until_true 15 pong || fail "the daemon does not start again"
	expect 0 -- "$floe" stop redis-server
	until_true 15 sh -c '[ -z "$(pgrep -u "$(id -u)" -x redis-server)" ]' || fail "floe stop leaves the daemon"
fi

note "with the server gone everything still starts"
"$floe" stop --all >/dev/null 2>&1
holder_leave
stop_serving
again() { # PACKAGE COMMAND ARGS...
	[ ! -e "$www/$1.floe" ] || expect 0 -- app "$@"
}
again mc mc --version
again python3-pygments pygmentize -V
again cowsay cowsay moo
again bash-static bash-static -c true
dpkg -l | cmp -s "$scratch/dpkg" - || fail "dpkg's list changed"
