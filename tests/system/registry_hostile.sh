#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=normal users=root,user timeout=240
# What is no settings file at a declared path: a gigabyte of the host's or of the application's, a directory, links that
# lead elsewhere. Shown as it is, kept as it is, in bounded memory, and the other settings go on working.
. "$(dirname "$0")/setup.sh"

make_box_tree "$scratch/tree" 1
mkdir -p "$home/.config/box" "$home/.config/box/dir.ini"
truncate -s 1G "$home/.config/box/huge.ini"
echo inside >"$home/.config/box/dir.ini/file"
printf '[s]\nk=host\n' >"$home/.config/box/link-target"
ln -s link-target "$home/.config/box/link.ini"
pack_box --config @config/box/huge.ini:ini --config @config/box/dir.ini:ini --config @config/box/link.ini:ini \
	--config @config/box/grown.ini:ini --config @config/box/good.ini:ini

run() { in_box box sh -c "cd $home/.config/box; $1"; }
reg() { "$floe" registry "$@" --env box; }

peak_kib() { # of the settings server
	local pid

	pid=$(floe_pids floe-environment)
	[ -n "$pid" ] || fail "no settings server"
	sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$pid/status"
}

note "a gigabyte of the host's, a directory, a link"
prints 1073741824 run 'stat -c %s huge.ini'
prints inside run 'cat dir.ini/file'
prints host run 'sed -n s/k=//p link.ini'
prints '' run 'echo "[s]" >good.ini; echo k=1 >>good.ini'
prints 1 reg get config/box/good.ini:s/k
reg list | grep -qE '^config/box/huge.ini +[(]too large for settings, or no file: shown as it is[)] *$' &&
	reg list config/box/dir.ini | grep -q 'no file: shown as it is' || fail "list: $(reg list)"
prints '' run 'echo more >>dir.ini/more; printf x >>huge.ini'
prints 1073741825 run 'stat -c %s huge.ini'
[ "$(stat -c %s "$home/.config/box/huge.ini")" = 1073741824 ] || fail "the host's file was changed"
[ ! -e "$home/.config/box/dir.ini/more" ] || fail "the host's directory was changed"
prints '' run 'printf "[s]\nk=mine\n" >link.ini'
prints mine reg get config/box/link.ini:s/k
[ "$(cat "$home/.config/box/link-target")" = $'[s]\nk=host' ] || fail "the host's link was followed"

note "a file that grows out of bounds in the application's hands"
prints '' run 'echo "[s]" >grown.ini; echo k=small >>grown.ini'
prints small reg get config/box/grown.ini:s/k
prints '' run 'head -c 40000000 /dev/zero >>grown.ini'
prints 40000012 run 'stat -c %s grown.ini'
prints '' run 'echo "[s]" >good.ini; echo k=2 >>good.ini'
prints 2 reg get config/box/good.ini:s/k
"$floe" stop --all >/dev/null 2>&1
holder_leave
prints 40000012 run 'stat -c %s grown.ini'
prints 2 run 'sed -n s/k=//p good.ini'
[ "$(peak_kib)" -lt 262144 ] || fail "the settings server took $(peak_kib) KiB"
prints '' run 'printf "[s]\nk=small again\n" >grown.ini'
"$floe" stop --all >/dev/null 2>&1
holder_leave
prints 'small again' run 'sed -n s/k=//p grown.ini'
prints 'small again' reg get config/box/grown.ini:s/k

note "links and directories in the place of settings"
run 'ln -s /etc/passwd new.ini; ln -sf /etc/passwd good.ini' >/dev/null 2>&1 && fail "a setting became a link"
run 'rm good.ini; mkdir good.ini' >/dev/null 2>&1 && fail "a setting became a directory"
prints FAILS reg get config/box/good.ini:s/k
prints '' run 'echo "[s]" >good.ini; echo k=3 >>good.ini'
prints 3 reg get config/box/good.ini:s/k
