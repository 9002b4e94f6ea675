# SPDX-License-Identifier: Apache-2.0
"""A stand-in for floe's holder in tests of the FUSE servers: mounts, starts servers on descriptor 3 and
speaks launcher/server_protocol.h with them. Runs inside a user and mount namespace (unshare -Urm)."""
import array
import ctypes
import os
import signal
import socket
import struct
import subprocess

LIBC = ctypes.CDLL(None, use_errno=True)
MS_RDONLY, MS_NOSUID, MS_NODEV = 1, 2, 4
HELPERS = os.path.join(os.environ["FLOE_BUILD"], "libexec", "floe")


def mount(source, target, kind, flags=0, options=""):
    if LIBC.mount(source.encode(), target.encode(), kind.encode(), flags, options.encode()) != 0:
        raise OSError(ctypes.get_errno(), f"mount {kind} on {target}: {os.strerror(ctypes.get_errno())}")


def mount_fuse(target, label):
    fd = os.open("/dev/fuse", os.O_RDWR)
    mount(label, target, "fuse.floe", MS_RDONLY | MS_NOSUID | MS_NODEV,
          f"fd={fd},rootmode=40000,user_id={os.geteuid()},group_id={os.getegid()},"
          "allow_other,default_permissions,max_read=1048576")
    return fd


def pack(fields):
    out = b""
    for name, value in fields:
        if isinstance(value, int):
            value = struct.pack("<Q", value)
        elif isinstance(value, str):
            value = value.encode()
        out += struct.pack("<HI", len(name), len(value)) + name.encode() + value
    return out


def unpack(data):
    fields, at = {}, 0
    while at < len(data):
        name_len, value_len = struct.unpack_from("<HI", data, at)
        name = data[at + 6:at + 6 + name_len].decode()
        fields[name] = data[at + 6 + name_len:at + 6 + name_len + value_len]
        at += 6 + name_len + value_len
    return fields


class Server:
    """One server process; `said` of the last message, descriptors that came with it in `fds`."""

    def __init__(self, program, *args):
        self.sock, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(60)

        def place():
            os.dup2(its.fileno(), 3, inheritable=True)
        self.process = subprocess.Popen([os.path.join(HELPERS, program), *args], preexec_fn=place,
                                        close_fds=False if its.fileno() == 3 else True, pass_fds=[3])
        its.close()
        self.fds = []

    def send(self, fields, fds=()):
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.sock.sendmsg([pack(fields)], ancillary)

    def hear(self, kind):
        while True:
            data, ancillary, _, _ = self.sock.recvmsg(1 << 18, 256)
            if not data:
                raise EOFError(f"the server left instead of saying {kind}")
            said = unpack(data)
            self.fds = []
            for level, what, raw in ancillary:
                if level == socket.SOL_SOCKET and what == socket.SCM_RIGHTS:
                    self.fds += array.array("i", raw[:len(raw) - len(raw) % 4]).tolist()
            if "error" in said:
                raise RuntimeError(said["error"].decode())
            if said["type"].decode() == kind:
                return said

    def serve(self, fuse_fd, init=None, table=None):
        fields = [("type", "serve"), ("uid", os.geteuid()), ("gid", os.getegid())]
        if init:
            fields.append(("init", init))
        self.send(fields, [fuse_fd] if table is None else [fuse_fd, table])
        return self.hear("serving").get("init")

    def stats(self):
        self.send([("type", "stats")])
        return {k: struct.unpack("<Q", v)[0] for k, v in self.hear("stats").items() if k != "type"}

    def touches(self):
        self.send([("type", "touches")])
        self.hear("touches")
        data = os.pread(self.fds[0], 1 << 26, 0)
        os.close(self.fds[0])
        return list(struct.iter_unpack("<QQQ", data))

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.sock.close()

    def leave(self):
        """Closes our end; the server must follow."""
        self.sock.close()
        return self.process.wait(timeout=10)
