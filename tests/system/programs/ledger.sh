#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Three processes that write, wait for the disk and say so: records appended, files replaced, mapped pages.
# "forever" does not end by itself; "check FILE" looks for all that was said.
. "$HOST/setup.sh"
took ledger python3 - "${1:-count}" "${2:-}" <<'PY'
import mmap, os, sys

mode, said = sys.argv[1], sys.argv[2]
count = 10**9 if mode == "forever" else 150
record = lambda who, n: b"%d %d %s\n" % (who, n, b"x" * 200)

def say(what):
    if mode == "forever":
        os.write(1, b"done|%s\n" % what.encode())

def sync_directory():
    fd = os.open(".", os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)

def write(who):
    log = os.open(f"log{who}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    mapped = os.open(f"map{who}", os.O_RDWR | os.O_CREAT)
    os.ftruncate(mapped, 4096 * 16)
    pages = mmap.mmap(mapped, 4096 * 16)
    sync_directory()
    for n in range(count):
        os.write(log, record(who, n))
        (os.fdatasync if n % 2 else os.fsync)(log)
        say(f"{who} log {n}")
        if n % 5 == 0:
            with open(f"new{who}", "wb") as f:
                f.write(b"%d\n" % n * 1000)
                f.flush()
                os.fsync(f.fileno())
            os.rename(f"new{who}", f"file{who}")
            sync_directory()
            say(f"{who} file {n}")
        if n % 7 == 0:
            at = n % 16 * 4096
            pages[at:at + 8] = b"%08d" % n
            pages.flush()
            say(f"{who} map {n}")

def check():
    last = {}
    for line in open(said):
        who, what, n = line.split()
        last[who, what] = max(int(n), last.get((who, what), -1))
    for (who, what), n in sorted(last.items()):
        if what == "log":
            content = open(f"log{who}", "rb").read()
            whole = b"".join(record(int(who), i) for i in range(n + 1))
            assert content[:len(whole)] == whole, (who, what, n, len(content))
        elif what == "file":
            content = open(f"file{who}", "rb").read()
            found = int(content.split(b"\n")[0])
            assert found >= n and content == b"%d\n" % found * 1000, (who, what, n, found)
        else:
            content = open(f"map{who}", "rb").read()
            assert max(int(content[i:i + 8].strip(b"\0") or b"-1") for i in range(0, 65536, 4096)) >= n, (who, what, n)
    assert last

if mode == "check":
    check()
    os._exit(0)
children = []
for who in range(3):
    pid = os.fork()
    if pid == 0:
        try:
            write(who)
            os._exit(0)
        except BaseException as e:
            os.write(2, f"ledger {who}: {e!r}\n".encode())
            os._exit(1)
    children.append(pid)
sys.exit(0 if all([os.waitpid(pid, 0)[1] == 0 for pid in children]) else 1)
PY
for who in 0 1 2; do
	[ "${1:-}" = check ] || result "$(cat "log$who" "file$who" "map$who" | sha256sum)"
done
