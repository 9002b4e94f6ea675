# SPDX-License-Identifier: Apache-2.0
"""Checks of the host view, inside a mount namespace; see host_view.sh. usage: host_view.py SCRATCH"""
import filecmp
import os
import stat
import subprocess
import sys
import time

import mount_holder as holder

SCRATCH = sys.argv[1]
TREE, MOUNT, UNION = (os.path.join(SCRATCH, n) for n in ("tree", "view", "union"))
IS_ROOT_EVERYWHERE = open("/proc/self/uid_map").read().split() == ["0", "0", "4294967295"]


def check(what, is_right, detail=""):
    print(("ok    " if is_right else "WRONG ") + what, detail, flush=True)
    if not is_right:
        sys.exit(1)


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)


class View:
    """The mounted view of `root`, and what a holder keeps to replace its server."""

    def __init__(self, root):
        os.makedirs(MOUNT, exist_ok=True)
        self.args = ["--host", root] + ([] if IS_ROOT_EVERYWHERE else ["--map-owners"])
        self.fuse = holder.mount_fuse(MOUNT, "host")
        self.table = os.memfd_create("nodes")
        self.server = holder.Server("floe-union-server", *self.args)
        self.init = self.server.serve(self.fuse, table=self.table)

    def replace(self):
        self.server.kill()
        self.server = holder.Server("floe-union-server", *self.args)
        self.server.serve(self.fuse, self.init, self.table)

    def end(self):
        os.close(self.fuse)
        check("the mount goes away", holder.LIBC.umount2(MOUNT.encode(), 0) == 0)
        check("and the server with it", self.server.process.wait(timeout=10) == 0)


def soon(condition):
    """Within the view's timeout of a second, and some."""
    until = time.monotonic() + 4
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.05)
    return False


def small_tree():
    write(f"{TREE}/plain", "plain")
    write(f"{TREE}/read-only", "read-only")
    write(f"{TREE}/secret", "secret")
    write(f"{TREE}/closed/inside", "inside")
    write(f"{TREE}/listable/inside", "inside")
    write(f"{TREE}/folder/file", "old")
    write(f"{TREE}/changing", "1")
    os.symlink("plain", f"{TREE}/link")
    os.link(f"{TREE}/plain", f"{TREE}/hard-link")
    os.mkfifo(f"{TREE}/fifo")
    deep = os.open(TREE, os.O_RDONLY)
    for _ in range(30):
        os.mkdir("d" * 200, dir_fd=deep)
        above, deep = deep, os.open("d" * 200, os.O_RDONLY, dir_fd=deep)
        os.close(above)
    with os.fdopen(os.open("bottom", os.O_CREAT | os.O_WRONLY, dir_fd=deep), "w") as f:
        f.write("deep")
    os.chmod(f"{TREE}/read-only", 0o444)
    os.chmod(f"{TREE}/secret", 0)
    os.chmod(f"{TREE}/closed", 0)
    os.chmod(f"{TREE}/listable", 0o600)


def text(path):
    with open(path) as f:
        return f.read()


def attributes():
    st = os.stat(f"{MOUNT}/read-only")
    check("owner and mode", (st.st_uid, st.st_gid, stat.S_IMODE(st.st_mode)) ==
          (os.geteuid(), os.getegid(), 0o444))
    check("hard links count", os.stat(f"{MOUNT}/plain").st_nlink == 2 and
          os.stat(f"{MOUNT}/plain").st_ino == os.stat(f"{MOUNT}/hard-link").st_ino)
    check("a link is a link", os.readlink(f"{MOUNT}/link") == "plain" and text(f"{MOUNT}/link") == "plain")
    check("a FIFO is a FIFO", stat.S_ISFIFO(os.lstat(f"{MOUNT}/fifo").st_mode))
    # Root of a namespace keeps the right to read what is its user's own, whatever the mode.
    check("own files are shown whatever their mode", text(f"{MOUNT}/secret") == "secret" and
          os.listdir(f"{MOUNT}/closed") == ["inside"] and text(f"{MOUNT}/listable/inside") == "inside")


def forbidden():
    """What only root may read; nothing for root to see here."""
    if os.access("/etc/shadow", os.R_OK) or IS_ROOT_EVERYWHERE:
        return
    check("an unreadable file is empty", text(f"{MOUNT}/etc/shadow") == "" and
          os.stat(f"{MOUNT}/etc/shadow").st_size == 0)
    if os.stat("/root").st_uid != os.geteuid() and not os.access("/root", os.R_OK):
        check("an unreadable directory is empty", os.listdir(f"{MOUNT}/root") == [] and
              not os.path.exists(f"{MOUNT}/root/.bashrc"))


def foreign():
    """Who owns it, for root of a user namespace; the true owner for root."""
    st, host = os.stat(f"{MOUNT}/etc/passwd"), os.stat("/etc/passwd")
    want = (host.st_uid, host.st_gid) if IS_ROOT_EVERYWHERE else (os.geteuid(), os.getegid())
    check("owners of what is root's", (st.st_uid, st.st_gid, st.st_mode) == (*want, host.st_mode))


def own_mounts():
    """The view does not show itself, or whoever walked through it would never end."""
    above, name = os.path.split(MOUNT)
    check("floe's own mounts are left out", os.path.isdir(f"{MOUNT}{SCRATCH}/tree") and
          not os.path.lexists(f"{MOUNT}{MOUNT}") and name not in os.listdir(f"{MOUNT}{above}"))


def replaced(view):
    """A server that is killed is replaced, and who has files open notices nothing."""
    with open(f"{MOUNT}/etc/passwd") as f, open(f"{MOUNT}{TREE}/read-only") as unread:
        begin = f.read(10)
        names = os.listdir(f"{MOUNT}/usr")
        for _ in range(3):
            view.replace()
            os.listdir(f"{MOUNT}/usr/share")
        check("open files outlive the server", begin + f.read() == text("/etc/passwd") and
              unread.read() == "read-only")
        check("so do names", os.listdir(f"{MOUNT}/usr") == names)


def deep_tree():
    at = os.open(MOUNT, os.O_RDONLY)
    for _ in range(30):
        above, at = at, os.open("d" * 200, os.O_RDONLY, dir_fd=at)
        os.close(above)
    with os.fdopen(os.open("bottom", os.O_RDONLY, dir_fd=at)) as f:
        check("paths beyond PATH_MAX", f.read() == "deep")
    os.close(at)


def changes():
    check("before", text(f"{MOUNT}/changing") == "1" and not os.path.exists(f"{MOUNT}/new"))
    opened = open(f"{MOUNT}/changing")
    write(f"{TREE}/changing", "12345")
    check("a file that grows", soon(lambda: text(f"{MOUNT}/changing") == "12345"))
    check("also for who has it open", opened.read() == "12345")
    opened.close()
    write(f"{TREE}/new", "new")
    check("a new file", soon(lambda: os.path.exists(f"{MOUNT}/new") and "new" in os.listdir(MOUNT)))
    old = open(f"{MOUNT}/new")
    write(f"{TREE}/newer", "newer")
    os.rename(f"{TREE}/newer", f"{TREE}/new")
    check("a replaced file", soon(lambda: text(f"{MOUNT}/new") == "newer"))
    check("who has the old one open reads it", old.read() == "new")
    old.close()
    os.rename(f"{TREE}/folder", f"{TREE}/moved")
    check("a moved directory", soon(lambda: not os.path.exists(f"{MOUNT}/folder") and
                                    text(f"{MOUNT}/moved/file") == "old"))
    os.unlink(f"{TREE}/new")
    os.mkdir(f"{TREE}/new")
    check("a directory in place of a file", soon(lambda: os.path.isdir(f"{MOUNT}/new")))
    write(f"{TREE}/leaving", "leaving")
    check("another new file", soon(lambda: os.path.exists(f"{MOUNT}/leaving")))
    left = open(f"{MOUNT}/leaving")
    os.unlink(f"{TREE}/changing")
    os.unlink(f"{TREE}/leaving")
    check("a deleted file", soon(lambda: not os.path.exists(f"{MOUNT}/changing") and
                                 not os.path.exists(f"{MOUNT}/leaving")))
    check("who has it open sees that it has gone", soon(lambda: os.fstat(left.fileno()).st_nlink == 0))
    check("and reads it, though it never did before", left.read() == "leaving")
    left.close()
    os.makedirs(f"{TREE}/mounted")
    holder.mount("tmpfs", f"{TREE}/mounted", "tmpfs")
    write(f"{TREE}/mounted/x", "in a mount")
    check("mounts are crossed", soon(lambda: os.path.exists(f"{MOUNT}/mounted/x")) and
          text(f"{MOUNT}/mounted/x") == "in a mount")


def overlay_on_top():
    """Everything can be written, root's files included, and the host stays as it is."""
    for folder in ("up", "work", "union"):
        os.makedirs(os.path.join(SCRATCH, folder), exist_ok=True)
    holder.mount("overlay", UNION, "overlay", 6, f"lowerdir={MOUNT}/etc,upperdir={SCRATCH}/up,"
                 f"workdir={SCRATCH}/work,userxattr")
    before = text("/etc/passwd")
    with open(f"{UNION}/passwd", "a") as f:
        f.write("more\n")
    check("a file of root's can be appended to", text(f"{UNION}/passwd") == before + "more\n")
    os.unlink(f"{UNION}/profile")
    check("and deleted", not os.path.exists(f"{UNION}/profile") and
          stat.S_ISCHR(os.lstat(f"{SCRATCH}/up/profile").st_mode))
    os.mkdir(f"{UNION}/floe-test")
    write(f"{UNION}/shadow", "replaced")
    check("what may not be read can be replaced", text(f"{UNION}/shadow") == "replaced")
    check("the host is as it was", text("/etc/passwd") == before and os.path.exists("/etc/profile") and
          not os.path.exists("/etc/floe-test"))
    holder.LIBC.umount2(UNION.encode(), 2)


def same_as_host(top):
    names = subprocess.run(["find", ".", "-xdev", "-type", "f", "-readable", "-print0"], cwd=top, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.split("\0")[:-1]
    wrong = [n for n in names if not filecmp.cmp(f"{top}/{n}", f"{MOUNT}{top}/{n}", shallow=False)]
    check(f"files of {top}", len(names) > 0 and not wrong, f"({len(names)}) {wrong[:3]}")
    show = "find . -xdev -printf '%p %y %s %i %n %l %T@\\n' 2>/dev/null | LC_ALL=C sort"
    differ = subprocess.run(["bash", "-c", f"diff <(cd {top}; {show}) <(cd {MOUNT}{top}; {show})"],
                            stdout=subprocess.PIPE, text=True).stdout
    check(f"attributes of {top}", not differ, differ[:300])


small_tree()
view = View(TREE)
attributes()
deep_tree()
changes()
view.end()
os.chmod(f"{TREE}/closed", 0o700)
os.chmod(f"{TREE}/listable", 0o700)
view = View("/")
foreign()
own_mounts()
for part in ("/usr/lib/python3", "/usr/share/perl5"):
    if os.path.isdir(part):
        same_as_host(part)
forbidden()
overlay_on_top()
replaced(view)
check("without a holder the server leaves", view.server.leave() == 0)
holder.LIBC.umount2(MOUNT.encode(), 2)
