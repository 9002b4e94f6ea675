#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=normal users=root,user timeout=400
# A hundred processes read one file and then save it at once, each with a key of its own: nothing is lost, and of a key
# that all of them write one value is left.
. "$(dirname "$0")/setup.sh"

make_box 1 --version 1 --config @config/box/rc:ini
rc=config/box/rc

# Reads the file, waits for the others to have read it as well, and writes it anew with one key more.
cat >"$scratch/save.py" <<'EOS'
import os
import sys
import time
n, last = sys.argv[1:]
rc = os.environ["HOME"] + "/.config/box/rc"
lines = [l for l in open(rc).read().splitlines() if not l.startswith("all=")]
open(os.environ["HOME"] + "/ready." + n, "w").close()
while not os.path.exists(os.environ["HOME"] + "/go." + last):
    time.sleep(0.01)
at = lines.index("[s]") + 1
lines[at:at] = ["k%s=v%s" % (n, n), "all=" + n]
open(rc + "." + n, "w").write("\n".join(lines) + "\n")
os.rename(rc + "." + n, rc)
EOS
command -v python3 >/dev/null || skip "no python3"

all_at_once() { # FIRST LAST
	in_box box sh -c "mkdir -p \$HOME/.config/box; [ -e \$HOME/.config/box/rc ] || echo '[s]' >\$HOME/.config/box/rc
		for i in \$(seq $1 $2); do python3 '$scratch/save.py' \$i $2 & done
		while [ \$(ls \$HOME | grep -c ^ready) -lt $2 ]; do sleep 0.05; done
		touch \$HOME/go.$2; wait" >"$scratch/out" 2>&1 ||
		{ cat "$scratch/out"; fail "saving"; }
}

missing() { # FIRST LAST
	local i

	"$floe" registry list $rc --env box --json >"$scratch/list"
	for i in $(seq "$1" "$2"); do
		grep -A1 "\"key\": \"s/k$i\"" "$scratch/list" | grep -q . || echo "k$i"
	done
}

note "a hundred at once"
all_at_once 1 100
gone=$(missing 1 100)
[ -z "$gone" ] || fail "lost: $gone"
all=$("$floe" registry get $rc:s/all --env box) || fail "the key that all wrote"
[ "$all" -ge 1 ] && [ "$all" -le 100 ] || fail "the key that all wrote: $all"
in_box box sh -c "grep -c ^k \$HOME/.config/box/rc" | grep -qx 100 || fail "the file has not all keys"

note "changes from outside beside them"
for i in $(seq 1 20); do "$floe" registry set "$rc:o/x$i" "$i" --env box & done
all_at_once 101 150
wait
gone=$(missing 101 150)
[ -z "$gone" ] || fail "lost beside changes from outside: $gone"
for i in $(seq 1 20); do
	[ "$("$floe" registry get "$rc:o/x$i" --env box)" = "$i" ] || fail "what was set from outside is lost: x$i"
done
