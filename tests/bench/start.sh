#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=normal users=root,user timeout=600
# Warm start: of a trivial command next to bubblewrap, and of a real application next to the same files started
# natively.
. "$(dirname "$0")/setup.sh"

make_box 1
plain() { /bin/true; }
bubble() { bwrap --ro-bind / / --dev /dev --proc /proc /bin/true; }
boxed() { in_box bench true; }

if command -v bwrap >/dev/null && bubble 2>/dev/null; then
	paired "trivial command, warm" 25 bwrap bubble floe boxed
fi
paired "trivial command, warm" 25 native plain floe boxed

# A real application: mc from apt, unpacked into a scratch root for the native side.
command -v mc >/dev/null && { note "mc is installed here: the real application is left out"; exit 0; }
ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1 || { note "no package lists: the real application is left out"; exit 0; }
"$floe" sequence -q -o "$scratch/mc.floe" --name mc --launch 'mc --version' -- \
	apt-get install -y --no-install-recommends mc >"$scratch/log" 2>&1 </dev/null || { tail "$scratch/log"; fail "sequence mc"; }
mkdir "$scratch/native"
"$floe" extract -C "$scratch/native" "$scratch/mc.floe" >/dev/null || fail "extract"
native_mc() {
	LD_LIBRARY_PATH=$scratch/native/usr/lib/x86_64-linux-gnu MC_DATADIR=$scratch/native/etc/mc \
		"$scratch/native/usr/bin/mc" --version
}
floe_mc() { "$floe" run --env bench-mc --command mc "$scratch/mc.floe" -- --version; }
paired "mc --version, warm" 25 native native_mc floe floe_mc

# The whole start, to the first complete screen, on a terminal that ends it by F10.
cat >"$scratch/screen.py" <<'EOS'
import os, pty, select, sys, time
pid, fd = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm"
    os.execvp(sys.argv[1], sys.argv[1:])
seen, end = b"", time.time() + 30
while b"Quit" not in seen and time.time() < end:
    if select.select([fd], [], [], 1)[0]:
        seen += os.read(fd, 65536)
os.write(fd, b"\x1b[21~")
while time.time() < end:
    try:
        seen = os.read(fd, 65536)
        if b"really" in seen: os.write(fd, b"\r")
    except OSError:
        break
os.waitpid(pid, 0)
EOS
native_screen() {
	HOME=$scratch/native-home LD_LIBRARY_PATH=$scratch/native/usr/lib/x86_64-linux-gnu MC_DATADIR=$scratch/native/usr/share/mc \
		python3 "$scratch/screen.py" "$scratch/native/usr/bin/mc"
}
floe_screen() { python3 "$scratch/screen.py" "$floe" run --env bench-mc --command mc "$scratch/mc.floe"; }
mkdir "$scratch/native-home"
paired "mc to its screen and out, warm" 10 native native_screen floe floe_screen
