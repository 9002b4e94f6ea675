#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=normal users=root,user timeout=300
# Programs that write a settings file in place: shells, editors and scripts do so in their own ways, see meanwhile what they
# have written while others see the old file, and save when they close it; one that is killed before has not saved. A
# hundred of them at once lose nothing.
. "$(dirname "$0")/setup.sh"

make_box 1 --version 1 --config @config/box/rc:ini
rc=config/box/rc

sh_in() { in_box box sh -c "cd \$HOME/.config/box && $1"; }
reg() { "$floe" registry "$@" --env box; }
is_key() { # KEY VALUE
	prints "$2" reg get "$rc:$1"
}

note "shells"
in_box box sh -c 'mkdir -p $HOME/.config/box' || fail "the box does not work"
prints '' sh_in 'printf "; mine\n[s]\nk=1\nl=1\n" >rc'
is_key s/k 1
prints '' sh_in '{ /bin/echo "; mine"; /bin/echo "[s]"; grep -q k=1 rc && /bin/echo k=2; echo l=2; } >rc'
is_key s/k 2
prints '' sh_in 'exec 3>>rc; echo m=3 >&3; ! grep -q m=3 rc; exec 3>&-; grep -q m=3 rc'
is_key s/m 3
prints $'; mine\n[s]\nk=2\nl=2\nm=3' sh_in 'cat rc'

note "killed in the middle"
sh_in '{ echo "[s]"; sh -c "echo k=9; kill -9 \$\$"; :; } >rc' >"$scratch/out" 2>&1
is_key s/k 2
sh_in 'exec 3>rc; echo "[s]" >&3; kill -9 $$' >"$scratch/out" 2>&1
prints $'; mine\n[s]\nk=2\nl=2\nm=3' sh_in 'cat rc'
is_key s/m 3

note "editors and scripts"
prints '' sh_in 'sed -i s/k=2/k=4/ rc'
is_key s/k 4
if command -v vim >/dev/null; then
	sh_in 'vim -es -u NONE -i NONE -c "set backupcopy=yes" -c "%s/k=4/k=5/" -c wq rc' >"$scratch/out" 2>&1 ||
		{ cat "$scratch/out"; fail "vim"; }
	is_key s/k 5
fi
if command -v ed >/dev/null; then
	prints '' sh_in 'printf "g/k=/s/=.*/=6/\nw\nq\n" | ed -s rc'
	is_key s/k 6
fi
if command -v perl >/dev/null; then
	prints '' sh_in 'perl -pi -e s/k=.*/k=7/ rc'
	is_key s/k 7
fi
if command -v python3 >/dev/null; then
	# Edited where it lies: read, emptied, written anew in pieces; with a lock or without.
	for lock in 0 1; do
		prints '' sh_in "python3 -c '
import fcntl
f = open(\"rc\", \"r+\")
if $lock: fcntl.lockf(f, fcntl.LOCK_EX)
text = f.read()
f.seek(0); f.truncate()
for c in text.replace(\"l=\", \"l=$lock\"): f.write(c); f.flush()
f.close()'"
	done
	is_key s/l 102
fi
prints '' sh_in 'printf "; MINE" | dd of=rc conv=notrunc 2>/dev/null'
prints '; MINE' sh_in 'head -n 1 rc'

note "a program that the library cannot enter"
cat >"$scratch/say.c" <<'C'
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv) { return argc < 2 || write(1, argv[1], strlen(argv[1])) < 0; }
C
if cc -static -o "$scratch/say" "$scratch/say.c" 2>/dev/null; then
	prints $'[s]\nk=8' sh_in "'$scratch/say' '[s]
k=8
' >rc; cat rc"
	is_key s/k 8
	prints '' sh_in "{ '$scratch/say' '[s]
'; '$scratch/say' 'k=9
'; } >rc"
	is_key s/k 9
fi

note "a hundred at once"
command -v python3 >/dev/null || exit 0
cat >"$scratch/save.py" <<'EOS'
import os
import sys
import time
n = sys.argv[1]
home = os.environ["HOME"]
lines = open(home + "/.config/box/rc").read().splitlines()
open(home + "/ready." + n, "w").close()
while not os.path.exists(home + "/go"):
    time.sleep(0.01)
lines.insert(lines.index("[s]") + 1, "k%s=v%s" % (n, n))
with open(home + "/.config/box/rc", "w") as f:
    for l in lines:
        f.write(l + "\n")
        f.flush()
EOS
in_box box sh -c "for i in \$(seq 100); do python3 '$scratch/save.py' \$i & done
	while [ \$(ls \$HOME | grep -c ^ready) -lt 100 ]; do sleep 0.05; done; touch \$HOME/go; wait" >"$scratch/out" 2>&1 ||
	{ cat "$scratch/out"; fail "saving"; }
[ ! -s "$scratch/out" ] || { cat "$scratch/out"; fail "saving"; }
for i in $(seq 100); do
	prints "v$i" reg get "$rc:s/k$i"
done
prints 100 sh_in 'grep -c ^k[0-9] rc'
