#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=normal users=root,user timeout=300
# What becomes of settings when a package is upgraded and rolled back, and when the host has the user's own file.
. "$(dirname "$0")/setup.sh"

ini=/opt/box/etc/box.ini

version() { # VERSION TEXT [OPTION...]
	local number=$1 text=$2

	shift 2
	make_box_tree "$scratch/tree$number" 1
	mkdir -p "$scratch/tree$number/etc"
	printf '%s\n' "$text" >"$scratch/tree$number/etc/box.ini"
	"$floe" sequence -q --from-dir "$scratch/tree$number" --prefix /opt/box --name box --version "$number" \
		-o "$scratch/box$number.floe" --config $ini:ini "$@" >"$scratch/sequence.log" 2>&1 ||
		{ cat "$scratch/sequence.log"; fail "floe sequence of version $number"; }
}
run() { # VERSION ENVIRONMENT COMMAND...
	local number=$1 env=$2

	shift 2
	"$floe" stop "$env" >/dev/null 2>&1
	"$floe" run --env "$env" --command box "$scratch/box$number.floe" -- "$@"
}

one=$'# version 1\n[s]\nA=1\nB=2'
two=$'# version 2\n[s]\n# new in this version\nC=30\nA=10\nB=20'
version 1 "$one"
version 2 "$two"

note "a key the user changed stays, what he never touched moves, comments are the new version's"
prints "$one" run 1 edit cat $ini
run 1 edit sed -i 's/B=2/B=5/' $ini || fail "sed"
prints $'# version 2\n[s]\n# new in this version\nC=30\nA=10\nB=5' run 2 edit cat $ini
prints $'# version 1\n[s]\nA=1\nB=5' run 1 edit cat $ini

note "the same for a program that rewrites its whole file, in its own order and without comments"
rewrite() { # B
	printf "eval \"\$(grep = $ini)\"; B=$1; { echo '[s]'; for k in B A C; do eval v=\\\$\$k; \
		[ -z \"\$v\" ] || echo \$k=\$v; done; } >$ini"
}
run 1 whole sh -c "$(rewrite 5)" || fail "rewriting under version 1"
prints $'[s]\nB=5\nA=1' run 1 whole cat $ini
prints $'# version 2\n[s]\n# new in this version\nC=30\nA=10\nB=5' run 2 whole cat $ini
run 2 whole sh -c "$(rewrite 6)" || fail "rewriting under version 2"
prints $'[s]\nB=6\nA=10\nC=30' run 2 whole cat $ini
prints $'# version 1\n[s]\nA=1\nB=6' run 1 whole cat $ini
prints 'opt' sh -c "'$floe' registry diff --env whole | sed 's,^/\\(opt\\).*B: 2 -> 6\$,\\1,'"

note "the host's own file"
mkdir -p "$home/.config/box"
printf '[s]\nA=100\nD=400\n[t]\nE=500\n' >"$home/.config/box/rc"
version 3 "$one" --config @config/box/rc:ini
prints $'[s]\nA=100\nD=400\n[t]\nE=500' run 3 local sh -c 'cat $HOME/.config/box/rc'
prints local sh -c "'$floe' registry explain config/box/rc:s/A --env local | awk '\$1 == \"decides\" { print \$2 }'"

note "hidden by the manifest, but for a part"
version 4 "$one" --config @config/box/rc:ini --local override:@config/box --local merge:@config/box/rc:t
prints $'[t]\nE=500' run 4 part sh -c 'cat $HOME/.config/box/rc'

note "one key; the host's later changes show at the next start, until the environment has its own"
version 5 "$one" --config @config/box/rc:ini --local override:@config --local merge:@config/box/rc:s/A
prints $'[s]\nA=100' run 5 both sh -c 'cat $HOME/.config/box/rc'
printf '[s]\nA=101\n' >"$home/.config/box/rc"
prints $'[s]\nA=101' run 5 both sh -c 'cat $HOME/.config/box/rc'
run 5 both sh -c 'echo "[s]
A=7" >$HOME/.config/box/rc' || fail "a change in the environment"
printf '[s]\nA=102\n' >"$home/.config/box/rc"
prints $'[s]\nA=7' run 5 both sh -c 'cat $HOME/.config/box/rc'
prints $'[s]\nA=102' cat "$home/.config/box/rc"
