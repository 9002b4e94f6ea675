#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=normal users=root,user timeout=240
# Settings of real programs of the terminal by key: each is changed through the program itself, is a key of
# `floe registry`, is changed there, and the program goes by it. Nothing of it is seen in the host's home.
. "$(dirname "$0")/settings/setup.sh"

host_clean() { # PATH...: below the home
	local path

	for path in "$@"; do [ ! -e "$home/$path" ] || fail "$path appeared in the host's home"; done
}

if pack git; then
	note "git: git config --global, sections with names of their own, tabs"
	git_() { run_in git git "$@"; }
	prints '' git_ config --global user.name 'Ada Lovelace'
	prints '' git_ config --global remote.up.stream.url 'https://example.org/a b.git'
	prints '' git_ config --global --add alias.st 'status -s'
	prints 'Ada Lovelace' reg git get home/.gitconfig:user/name
	prints 'https://example.org/a b.git' reg git get 'home/.gitconfig:remote "up.stream"/url'
	prints $'[user]\n\tname = Ada Lovelace\n[remote "up.stream"]\n\turl = https://example.org/a b.git\n[alias]\n\tst = status -s' \
		run_in git cat "$home/.gitconfig"
	prints '' reg git set home/.gitconfig:user/name 'Grace Hopper' 'home/.gitconfig:init/defaultBranch' trunk \
		'home/.gitconfig:remote "up.stream"/url' /srv/up
	prints 'Grace Hopper' git_ config --global user.name
	prints /srv/up git_ config --get remote.up.stream.url
	prints trunk run_in git sh -c 'git init -q repository && git -C repository symbolic-ref --short HEAD'
	prints 'Grace Hopper <g@example.org>' run_in git sh -c 'cd repository && git config --global user.email g@example.org &&
		git commit -q --allow-empty -m first && git log --format="%an <%ae>"'
	prints '' reg git lock home/.gitconfig:user/email locked@example.org
	git_ config --global user.email other@example.org
	prints locked@example.org git_ config user.email
	prints '' reg git unlock home/.gitconfig:user/email
	prints '' git_ config --global --unset alias.st
	prints FAILS reg git get home/.gitconfig:alias/st
	host_clean .gitconfig repository
fi

# play PROGRAM ARGS REGEX QUIT [KEY...]: starts it, waits until it shows REGEX ($scratch/screen), types keys, leaves it.
terminal() { tmux -L "floe-$$" "$@"; }
screen() { terminal capture-pane -p 2>/dev/null; }
shows() { screen | grep -qE "$1"; }
play() {
	local program=$1 arguments=$2 regex=$3 quit=$4 key

	shift 4
	rm -f "$scratch/status"
	terminal -f /dev/null new-session -d -x 110 -y 30 "env TERM=screen '$floe' run --env $program --command $program \
		'$scratch/$program.floe' -- $arguments 2>'$scratch/err'; echo status=\$? >'$scratch/status'"
	until_true 30 shows "$regex" || { screen; fail "$program does not show $regex: $(cat "$scratch/err")"; }
	screen >"$scratch/screen"
	for key in "$@" "$quit"; do terminal send-keys "$key"; done
	until_true 20 test -s "$scratch/status" || { screen; fail "$program does not end"; }
	grep -q 'status=0' "$scratch/status" || fail "$program: $(cat "$scratch/status" "$scratch/err")"
}
command -v tmux >/dev/null || fail "tmux is not installed"
at_end+=("terminal kill-server 2>/dev/null")

if pack htop; then
	note "htop: saves what was set with its keys when it is left"
	play htop '' F5Tree q t
	prints 1 reg htop get config/htop/htoprc:tree_view
	play htop '' F5List q # as it was left
	prints '' reg htop set config/htop/htoprc:column_meters_0 'Hostname Uptime' config/htop/htoprc:column_meter_modes_0 '2 2' \
		config/htop/htoprc:hide_function_bar 2
	play htop '' 'Hostname: ' q H
	! grep -q F10 "$scratch/screen" || { cat "$scratch/screen"; fail "htop did not go by the keys that were set"; }
	prints $'Hostname Uptime\n2\n1' reg htop get config/htop/htoprc:column_meters_0 config/htop/htoprc:hide_function_bar \
		config/htop/htoprc:hide_userland_threads
	host_clean .config/htop
fi

if pack mc; then
	note "Midnight Commander: what was chosen in it is saved when it is left"
	mkdir "$home/shelf"
	touch "$home/shelf/plain" "$home/shelf/.dotted"
	play mc "-u '$home/shelf' '$home/shelf'" '[.]dotted' F10 M-.
	prints false reg mc get config/mc/ini:Panels/show_dot_files
	play mc "-u '$home/shelf' '$home/shelf'" 'plain' F10
	! grep -q '[.]dotted' "$scratch/screen" || fail "mc did not keep it: $(cat "$scratch/screen")"
	prints '' reg mc set config/mc/ini:Panels/show_dot_files true config/mc/ini:Layout/keybar_visible false
	play mc "-u '$home/shelf' '$home/shelf'" '[.]dotted' F10
	! grep -q '10 *Quit' "$scratch/screen" || fail "mc did not go by the keys that were set: $(cat "$scratch/screen")"
	prints $'true\nfalse' reg mc get config/mc/ini:Panels/show_dot_files config/mc/ini:Layout/keybar_visible
	host_clean .config/mc
fi

if pack vim; then
	note "vim: its script is no list of keys; it stays a file of the environment"
	vim_() { run_in vim vim -N -i "$home/.viminfo" -es "$@" </dev/null; }
	prints '' vim_ -c 'set shiftwidth=3' -c 'mkvimrc! ~/.vimrc' -c 'call histadd("cmd", "echo 42")' -c 'wviminfo!' -c 'qa!'
	prints '' reg vim list --keys
	"$floe" stop --all >/dev/null 2>&1
	holder_leave
	vim_ -u "$home/.vimrc" -c 'redir! > ~/shown' -c 'set shiftwidth?' -c 'echo histget("cmd", -1)' -c 'qa!' >"$out" 2>&1 ||
		fail "vim: $(cat "$out")"
	prints $'shiftwidth=3\necho 42' run_in vim sed 's/^ *//; /^$/d' "$home/shown"
	"$floe" env diff vim >"$scratch/diff" || fail "env diff"
	grep -q '/\.vimrc$' "$scratch/diff" || fail "env diff does not tell of it: $(cat "$scratch/diff")"
	host_clean .vimrc .viminfo shown
fi
