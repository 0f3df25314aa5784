"""The two servers of the bench, each on a loop-mounted, journaled ext4 of its own, and what the kernel counts about them."""
import mmap
import os
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "interop"))
import brokers  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")


def sh(*words, check=True):
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if check and done.returncode:
        raise SystemExit("%s failed: %s%s" % (" ".join(words[:6]), done.stdout[-500:], done.stderr[-1500:]))
    return done.stdout.strip()


class Disk:
    """An ext4 with its journal on a loop device; counts sectors written and flushes.

    `written`: every block of the image exists, as on a flash device. With holes the file system below would have to find
    room at each flush, which only a server that flushes would pay."""

    def __init__(self, folder, name, gib, written=True):
        self.image = os.path.join(folder, name + ".img")
        self.mount = os.path.join(folder, name)
        self.tear_down()
        os.makedirs(self.mount, exist_ok=True)
        with open(self.image, "wb") as file:
            file.truncate(gib << 30)
        if written:
            sh("dd", "if=/dev/zero", "of=" + self.image, "bs=4M", "count=%d" % (gib << 8), "conv=notrunc,fsync")
        sh("mkfs.ext4", "-q", "-F", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0", self.image)
        self.device = sh("losetup", "-f", "--show", self.image)
        sh("mount", "-t", "ext4", self.device, self.mount)

    def counts(self):
        with open("/sys/block/%s/stat" % os.path.basename(self.device), encoding="ascii") as file:
            fields = [int(word) for word in file.read().split()]
        return {"bytes": fields[6] * 512, "flushes": fields[15] if len(fields) > 15 else 0}

    def durable_bytes_per_s(self):
        """What the disk does with 256 KiB after 256 KiB, each durable before the next: no server that promises durability
        is faster than about that."""
        size, count = 256 << 10, 64
        path, memory = os.path.join(self.mount, "probe"), mmap.mmap(-1, size)
        memory.write(b"p" * size)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_DIRECT | os.O_DSYNC)
        try:
            if os.fstat(fd).st_size < size * count:
                for i in range(count):
                    os.pwrite(fd, memory, i * size)
            begin = time.monotonic()
            for i in range(count):
                os.pwrite(fd, memory, i * size)
            return size * count / (time.monotonic() - begin)
        finally:
            os.close(fd)

    def tear_down(self):
        if os.path.ismount(self.mount):
            sh("umount", "-l", self.mount, check=False)
        for line in sh("losetup", "-j", self.image, check=False).splitlines():
            sh("losetup", "-d", line.split(":", 1)[0], check=False)
        if os.path.exists(self.image):
            os.remove(self.image)
        if os.path.isdir(self.mount):
            os.rmdir(self.mount)


class Server:
    """A broker with its disk. `client` is the rdkafka_bench program; `topic_settings` is what makes Kafka durable, or nothing."""

    def __init__(self, name, broker, disk, client, topic_settings=(), must_flush=True):
        self.name, self.broker, self.disk, self.client = name, broker, disk, client
        self.topic_settings, self.must_flush = list(topic_settings), must_flush

    @property
    def bootstrap(self):
        return self.broker.bootstrap

    def pid(self):
        if isinstance(self.broker, brokers.Leatd):
            return self.broker.process.pid
        with open(os.path.join(self.broker.folder, "pid"), encoding="ascii") as file:
            return int(file.read())

    def cpu_seconds(self):
        with open("/proc/%d/stat" % self.pid(), encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def rss_kib(self):
        with open("/proc/%d/status" % self.pid(), encoding="ascii") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))

    def make_topic(self, topic, partitions):
        sh(self.client, "create", self.bootstrap, topic, str(partitions), *self.topic_settings)

    def drop_topic(self, topic):
        sh(self.client, "delete", self.bootstrap, topic, "0")
        time.sleep(0.5)

    def write_log_once(self, mib):
        """Takes a fresh leatd's log of this size once around: its first pass also makes the file system's blocks written ones, which
        happens once in a log's life."""
        for part in range(2):
            self.make_topic("around-%d" % part, 1)
            sh(self.client, "produce", self.bootstrap, "around-%d" % part, str(mib << 9), "1024", "1")
            self.drop_topic("around-%d" % part)

    def measured(self, action):
        """Runs `action`; returns its figures with the broker's CPU, the disk's bytes and its flushes."""
        cpu, disk = self.cpu_seconds(), self.disk.counts()
        figures = dict(action())
        figures["cpu_s"] = self.cpu_seconds() - cpu
        figures["flushes"] = self.disk.counts()["flushes"] - disk["flushes"]
        sh("sync", "-f", self.disk.mount)  # what a server left in the page cache is written to the device all the same
        figures["device_bytes"] = self.disk.counts()["bytes"] - disk["bytes"]
        if self.must_flush and figures["flushes"] == 0:
            raise SystemExit("%s: the device saw no flush, so this does not measure durable writes" % self.name)
        return figures
