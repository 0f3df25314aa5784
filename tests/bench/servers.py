"""The two servers of the bench, each on a loop-mounted, journaled ext4 of its own, and what the kernel counts about them."""
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
    """An ext4 with its journal on a loop device; counts sectors written and flushes."""

    def __init__(self, folder, name, gib):
        self.image = os.path.join(folder, name + ".img")
        self.mount = os.path.join(folder, name)
        self.tear_down()
        os.makedirs(self.mount, exist_ok=True)
        with open(self.image, "wb") as file:
            file.truncate(gib << 30)
        sh("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", self.image)
        self.device = sh("losetup", "-f", "--show", self.image)
        sh("mount", "-t", "ext4", self.device, self.mount)

    def counts(self):
        with open("/sys/block/%s/stat" % os.path.basename(self.device), encoding="ascii") as file:
            fields = [int(word) for word in file.read().split()]
        return {"bytes": fields[6] * 512, "flushes": fields[15] if len(fields) > 15 else 0}

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
    """A broker with its disk. `topic_settings` is what makes Kafka durable, or nothing."""

    def __init__(self, name, broker, disk, topic_settings=(), must_flush=True):
        self.name, self.broker, self.disk = name, broker, disk
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

    def _topics(self, *words):
        return sh("sh", os.path.join(HERE, "..", "interop", "kafka", "kafka.sh"), "run", "org.apache.kafka.tools.TopicCommand",
                  "--bootstrap-server", self.bootstrap, *words)

    def make_topic(self, topic, partitions):
        settings = [word for setting in self.topic_settings for word in ("--config", setting)]
        self._topics("--create", "--topic", topic, "--partitions", str(partitions), "--replication-factor", "1", *settings)

    def drop_topic(self, topic):
        self._topics("--delete", "--topic", topic)
        time.sleep(0.5)

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
