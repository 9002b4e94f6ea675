# SPDX-License-Identifier: Apache-2.0
"""Checks of the package mount, inside a user and mount namespace; see mount_package.sh.

usage: mount_package.py TREE PACKAGE PREFIX SCRATCH     (the package shows TREE below PREFIX)"""
import filecmp
import http.server
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import mount_holder as holder

TREE, PACKAGE, PREFIX, SCRATCH = sys.argv[1:5]
TOP = os.path.join(SCRATCH, "package")
MOUNT = TOP + PREFIX
UNION = os.path.join(SCRATCH, "union")


def check(what, is_right, detail=""):
    print(("ok    " if is_right else "WRONG ") + what, detail, flush=True)
    if not is_right:
        sys.exit(1)


class Mounted:
    """The package, mounted and served."""

    def __init__(self, source, *args):
        os.makedirs(TOP, exist_ok=True)
        self.source, self.args = source, args
        self.fd = holder.mount_fuse(TOP, "package")
        self.init = None
        self.start()

    def start(self):
        self.server = holder.Server("floe-package-server", "--source", self.source, *self.args)
        self.server.hear("opened")
        init = self.server.serve(self.fd, self.init)
        if self.init not in (None, init):
            check("INIT bytes stay the same", False)
        self.init = init

    def operations(self):
        return self.server.stats()["operations"]

    def end(self):
        os.close(self.fd)
        check("the mount goes away", holder.LIBC.umount2(TOP.encode(), 2) == 0)
        self.server.leave()


def files_below(top):
    for folder, _, names in os.walk(top):
        for name in names:
            yield os.path.relpath(os.path.join(folder, name), top)


def describe(top, name):
    st = os.lstat(os.path.join(top, name))
    link = os.readlink(os.path.join(top, name)) if os.path.islink(os.path.join(top, name)) else None
    return (st.st_mode, st.st_mtime_ns, link, None if os.path.isdir(os.path.join(top, name)) else st.st_size)


def same_tree():
    names = sorted(files_below(TREE))
    check("the same names", names == sorted(files_below(MOUNT)), f"({len(names)})")
    for name in names:
        if describe(TREE, name) != describe(MOUNT, name):
            check(f"attributes of {name}", False, f"{describe(TREE, name)} {describe(MOUNT, name)}")
        path = os.path.join(TREE, name)
        if os.path.isfile(path) and not os.path.islink(path) and \
                not filecmp.cmp(path, os.path.join(MOUNT, name), shallow=False):
            check(f"content of {name}", False)
    check("the same content and attributes", True)
    check("everything is ours", {os.lstat(os.path.join(MOUNT, n)).st_uid for n in names} == {os.geteuid()})


def warm_is_free(m):
    """A second run over an overlay on top must not ask the server anything."""
    for folder in ("up", "work", "union"):
        os.makedirs(os.path.join(SCRATCH, folder), exist_ok=True)
    holder.mount("overlay", UNION, "overlay", 6, f"lowerdir={MOUNT},upperdir={SCRATCH}/up,"
                 f"workdir={SCRATCH}/work,userxattr")
    script = (f"cd {UNION} && find . -type f -exec cat {{}} + >/dev/null && ls -lR . >/dev/null; "
              "for i in 1 2 3; do test -e no-such-name; done; readlink $(find . -type l) >/dev/null; true")
    counts = []
    for _ in range(3):
        before = m.operations()
        subprocess.run(["sh", "-c", script], check=True)
        counts.append(m.operations() - before)
    check("a warm run sends nothing", counts[1:] == [0, 0], f"cold {counts[0]}, then {counts[1:]}")
    name = next(n for n in files_below(TREE) if os.path.isfile(os.path.join(TREE, n)) and
                not os.path.islink(os.path.join(TREE, n)))
    with open(os.path.join(UNION, name), "ab") as f:
        f.write(b"more")
    check("copy-up over the package works", os.path.getsize(os.path.join(UNION, name)) ==
          os.path.getsize(os.path.join(TREE, name)) + 4)
    holder.LIBC.umount2(UNION.encode(), 2)


def killed_servers(m, kills):
    """Readers must not notice that the server dies, again and again."""
    names = [n for n in files_below(TREE) if not os.path.islink(os.path.join(TREE, n))]
    wrong, done, over = [], [0], threading.Event()

    def read(seed):
        pick = random.Random(seed)
        while not over.is_set():
            name = pick.choice(names)
            try:
                with open(os.path.join(MOUNT, name), "rb") as a, open(os.path.join(TREE, name), "rb") as b:
                    os.posix_fadvise(a.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                    if a.read() != b.read():
                        wrong.append(f"{name} differs")
                os.path.exists(os.path.join(MOUNT, name + str(pick.random())))
                done[0] += 1
            except OSError as e:
                wrong.append(str(e))

    seed = int.from_bytes(os.urandom(4), "little")
    readers = [threading.Thread(target=read, args=(seed + i,)) for i in range(4)]
    for r in readers:
        r.start()
    pick = random.Random(seed)
    for _ in range(kills):
        time.sleep(pick.random() * 0.3)
        m.server.kill()
        m.start()
    time.sleep(0.3)
    over.set()
    for r in readers:
        r.join()
    check(f"{kills} killed servers go unnoticed", not wrong and done[0] > 0,
          f"{done[0]} reads, seed {seed} {wrong[:3]}")


class StallingServer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    is_open = threading.Event()

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        if not self.is_open.wait(60):
            return
        size = os.path.getsize(PACKAGE)
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "bytes=0-"))
        first, last = int(asked[1]), min(int(asked[2] or size - 1), size - 1)
        with open(PACKAGE, "rb") as f:
            f.seek(first)
            body = f.read(last - first + 1)
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"one"')
        self.end_headers()
        if self.command == "GET":
            try:  # slow enough that not all is here before the network stalls
                for at in range(0, len(body), 65536):
                    if not self.is_open.wait(60):
                        return
                    self.wfile.write(body[at:at + 65536])
                    time.sleep(0.005)
            except OSError:
                pass

    def log_message(self, *_):
        pass


def wait_for(condition, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def stalled_network():
    """Waiting is the default; a signal with a handler does not end it, SIGKILL does; so does the holder."""
    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), StallingServer)
    web.daemon_threads = True
    threading.Thread(target=web.serve_forever, daemon=True).start()
    StallingServer.is_open.set()
    shutil.rmtree(os.environ["XDG_CACHE_HOME"], ignore_errors=True)
    m = Mounted(f"http://127.0.0.1:{web.server_port}/x.floe")
    StallingServer.is_open.clear()
    # The largest, from its end: what nobody has fetched ahead.
    name = max((n for n in files_below(TREE) if not os.path.islink(os.path.join(TREE, n))),
               key=lambda n: os.path.getsize(os.path.join(TREE, n)))
    reader = """
import os, signal, sys
signal.signal(signal.SIGUSR1, lambda *_: None)
with open(sys.argv[1], "rb", buffering=0) as f:
    f.seek(-300000, 2)
    print("begin", flush=True)
    print(len(f.read()), flush=True)
"""
    path = os.path.join(MOUNT, name)
    readers = [subprocess.Popen([sys.executable, "-c", reader, path], stdout=subprocess.PIPE, text=True)
               for _ in range(2)]
    for r in readers:
        r.stdout.readline()
    time.sleep(0.5)
    check("readers wait for the network", all(r.poll() is None for r in readers))
    for r in readers:
        r.send_signal(signal.SIGUSR1)
    time.sleep(1)
    check("a handled signal does not end the wait", all(r.poll() is None for r in readers))
    readers[0].send_signal(signal.SIGKILL)
    begin = time.monotonic()
    check("a waiting process can be killed", wait_for(lambda: readers[0].poll() is not None, 5),
          f"({time.monotonic() - begin:.2f} s)")
    check("the other still waits", readers[1].poll() is None)
    StallingServer.is_open.set()
    said = readers[1].stdout.readline().strip()
    check("it goes on when the network is back", said == "300000", said)
    StallingServer.is_open.clear()
    stuck = subprocess.Popen(["cat", os.path.join(MOUNT, name)], stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    begin = time.monotonic()
    os.close(m.fd)
    status = m.server.leave()
    check("the server leaves with its holder, network or not", status == 0,
          f"({time.monotonic() - begin:.2f} s)")
    stuck.wait(timeout=5)
    holder.LIBC.umount2(TOP.encode(), 2)
    web.shutdown()


def recorded():
    m = Mounted(PACKAGE, "--record")
    name = next(n for n in files_below(TREE) if not os.path.islink(os.path.join(TREE, n)) and
                os.path.getsize(os.path.join(TREE, n)) > 1000)
    subprocess.run(["cat", os.path.join(MOUNT, name)], check=True, stdout=subprocess.DEVNULL)
    touches = m.server.touches()
    ino = os.stat(os.path.join(MOUNT, name)).st_ino
    size = os.path.getsize(os.path.join(TREE, name))
    covered = sum(t[2] for t in touches if t[0] == ino)
    check("first touches are recorded", touches and touches[0][:2] == (ino, 0) and
          size <= covered <= size + 4096, f"{touches[:3]}")
    m.end()


mounted = Mounted(PACKAGE)
same_tree()
warm_is_free(mounted)
killed_servers(mounted, 20)
mounted.end()
recorded()
stalled_network()
