#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ready.py REGEX COMMAND...: starts COMMAND on a terminal of its own and prints how many milliseconds pass until
its output matches REGEX. Then reads on to its end; after five seconds, hangs up. Fails when it fails."""
import os, pty, re, select, signal, sys, time

began = time.monotonic()
pid, terminal = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm"
    os.execvp(sys.argv[2], sys.argv[2:])
said, took = b"", None
until = began + 300
while time.monotonic() < until:
    if not select.select([terminal], [], [], 1)[0]:
        continue
    try:
        said += os.read(terminal, 65536)
    except OSError:  # its end
        break
    if took is None and re.search(sys.argv[1].encode(), said):
        took = time.monotonic() - began
        until = time.monotonic() + 5
has_ended = took is not None and time.monotonic() < until
os.close(terminal)
until = time.monotonic() + 5
while True:
    ended, status = os.waitpid(pid, os.WNOHANG)
    if ended:
        break
    if time.monotonic() > until:
        os.kill(pid, signal.SIGKILL)
    time.sleep(0.01)
if took is None or (has_ended and status != 0):
    sys.stderr.write(said.decode(errors="replace")[-2000:])
    sys.exit(1)
print(round(took * 1000))
