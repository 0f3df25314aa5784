"""A block device whose every write and flush is remembered: one file in a file system of our own (FUSE, the kernel's protocol of
/dev/fuse, no library), under a loop device.

    recorder.py MOUNT IMAGE RECORD     serves IMAGE as MOUNT/disk; writes RECORD; ends when it is unmounted

A loop device turns the writes and flushes of the file system above into writes and fsyncs of its file, so RECORD holds, in order,
what a disk would have been told: a line of JSON each, {"w": place, "n": bytes, "at": place in RECORD.data} or {"f": 1}.
RECORD.count holds how many there are (8 bytes, for who maps it).
"""
import ctypes
import errno
import json
import mmap
import os
import struct
import sys

ROOT, DISK = 1, 2
HEADER, WRITE_MAX = 40, 1 << 20
LOOKUP, FORGET, GETATTR, SETATTR, OPEN, READ, WRITE, STATFS, RELEASE, FSYNC, FLUSH, INIT = 1, 2, 3, 4, 14, 15, 16, 17, 18, 20, 25, 26
OPENDIR, RELEASEDIR, ACCESS, INTERRUPT, DESTROY, BATCH_FORGET = 27, 29, 34, 36, 38, 42
ASYNC_READ, BIG_WRITES, MAX_PAGES = 1, 1 << 5, 1 << 22


def attributes(node, size):
    mode, size = (0o40755, 0) if node == ROOT else (0o100600, size)
    return struct.pack("<6Q10I", node, size, (size + 511) // 512, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


class Recorder:
    def __init__(self, mount, image, record):
        self.image = os.open(image, os.O_RDWR)
        self.size = os.fstat(self.image).st_size
        self.lines = open(record, "w", encoding="ascii", buffering=1)
        self.data = open(record + ".data", "wb", buffering=0)
        self.place = self.events = 0
        with open(record + ".count", "wb") as file:
            file.write(bytes(8))
        with open(record + ".count", "r+b") as file:
            self.count = mmap.mmap(file.fileno(), 8)
        self.fuse = os.open("/dev/fuse", os.O_RDWR)
        libc = ctypes.CDLL(None, use_errno=True)
        settings = "fd=%d,rootmode=40000,user_id=0,group_id=0,max_read=%d" % (self.fuse, WRITE_MAX)
        if libc.mount(b"leat-recorder", mount.encode(), b"fuse", 0, settings.encode()):
            raise SystemExit("mounting %s: %s" % (mount, os.strerror(ctypes.get_errno())))

    def remember(self, event):
        self.lines.write(json.dumps(event) + "\n")
        self.events += 1
        self.count[:] = struct.pack("<Q", self.events)

    def answer(self, opcode, node, body):
        """The reply's bytes, or an errno."""
        if opcode == INIT:
            major, minor, readahead, flags = struct.unpack_from("<4I", body)
            return struct.pack("<4I2H2I2H8I", 7, 31, readahead, flags & (ASYNC_READ | BIG_WRITES | MAX_PAGES), 16, 12, WRITE_MAX, 1,
                               WRITE_MAX // 4096, 0, *[0] * 8)
        if opcode == LOOKUP:
            if body.rstrip(b"\0") != b"disk":
                return errno.ENOENT
            return struct.pack("<4Q2I", DISK, 0, 3600, 3600, 0, 0) + attributes(DISK, self.size)
        if opcode in (GETATTR, SETATTR):
            return struct.pack("<Q2I", 3600, 0, 0) + attributes(node, self.size)
        if opcode in (OPEN, OPENDIR):
            return struct.pack("<Q2I", 0, 0, 0)
        if opcode == READ:
            _, offset, size = struct.unpack_from("<QQI", body)
            return os.pread(self.image, size, offset)
        if opcode == WRITE:
            _, offset, size = struct.unpack_from("<QQI", body)
            data = body[HEADER:HEADER + size]
            os.pwrite(self.image, data, offset)
            self.data.write(data)
            self.remember({"w": offset, "n": size, "at": self.place})
            self.place += size
            return struct.pack("<2I", size, 0)
        if opcode == FSYNC:
            self.remember({"f": 1})
            return b""
        if opcode == STATFS:
            return struct.pack("<5Q10I", 0, 0, 0, 2, 0, 4096, 255, 4096, 0, *[0] * 6)
        if opcode in (FLUSH, RELEASE, RELEASEDIR, ACCESS):
            return b""
        return errno.ENOSYS

    def serve(self):
        while True:
            try:
                request = os.read(self.fuse, WRITE_MAX + 65536)
            except OSError as error:
                if error.errno in (errno.EINTR, errno.ENOENT, errno.EAGAIN):
                    continue
                return  # ENODEV: unmounted
            _, opcode, unique, node = struct.unpack_from("<IIQQ", request)
            if opcode in (FORGET, BATCH_FORGET, INTERRUPT):
                continue
            reply = self.answer(opcode, node, request[HEADER:])
            code, body = (-reply, b"") if isinstance(reply, int) else (0, reply)
            os.write(self.fuse, struct.pack("<IiQ", 16 + len(body), code, unique) + body)
            if opcode == DESTROY:
                return


if __name__ == "__main__":
    Recorder(*sys.argv[1:4]).serve()
