"""Kernel in the loop: leatd on a real ext4 or xfs whose disk is recorded (recorder.py), and cut off at any moment afterwards.

    crash.py --leatd PROGRAM --work DIR [--fs ext4,xfs] [--states N] [--seed S]

A crash state is a moment p of the record: everything before the last flush before p is there; of what was written since then
nothing, all, some requests or some sectors. Each is mounted (the file system replays its journal), looked at by `leatd log verify`,
and read by a client of a started leatd: what was acknowledged before p is there, unchanged and in order; what is there beyond it
was sent. At the end flushes are taken for worth nothing, and the same checks have to see it. Root only; see README.md.
"""
import argparse
import ctypes
import fcntl
import json
import mmap
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SIZES = {"ext4": 64 << 20, "xfs": 320 << 20}
MKFS = {"ext4": ["mkfs.ext4", "-q", "-F", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0"], "xfs": ["mkfs.xfs", "-q", "-f", "-K"]}
BUDGET, SETTINGS = "2MiB", {"log.segment.bytes": 65536, "message.max.bytes": 32768, "log.commit.interval.ms": 0}
KEPT, CHURN = "kept", "churn"
CHURN_BYTES = 200_000
SHUTDOWN_IOCTL, NO_LOG_FLUSH = 0x8004587D, b"\x02\x00\x00\x00"
SECTOR = 512
LIE_FLUSHES = 40


def sh(*words, check=True):
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if check and done.returncode:
        raise SystemExit("%s failed: %s" % (" ".join(words), done.stdout[-1500:]))
    return done.stdout.strip()


def own_mounts():
    """Mounts of this process and its children only: nothing of it is left behind, however we end."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x20000) or libc.mount(None, b"/", None, 0x4000 | 0x40000, None):
        raise SystemExit("no mounts of one's own: %s (root?)" % os.strerror(ctypes.get_errno()))


def dies_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Machine:
    """One file system on a recorded disk, and leatd on it."""

    def __init__(self, options, kind, work):
        self.options, self.kind, self.work = options, kind, work
        for folder in ("fuse", "fs", "crashed"):
            os.makedirs(os.path.join(work, folder))
        self.mount, self.record = os.path.join(work, "fs"), os.path.join(work, "record")
        with open(os.path.join(work, "disk"), "wb") as file:
            file.truncate(SIZES[kind])
        self.config = os.path.join(work, "leatd.json")
        with open(self.config, "w", encoding="ascii") as file:
            json.dump(SETTINGS, file)
        self.loop = self.recorder = None
        self.acknowledged = []  # (events recorded then, topic, lines acknowledged in all)
        self.sent = {KEPT: [], CHURN: []}

    def start(self):
        self.recorder = subprocess.Popen([sys.executable, os.path.join(HERE, "recorder.py"), os.path.join(self.work, "fuse"),
                                          os.path.join(self.work, "disk"), self.record], preexec_fn=dies_with_parent)
        harness.wait_for(lambda: os.path.exists(os.path.join(self.work, "fuse", "disk")), "the recorder")
        self.loop = sh("losetup", "-f", "--show", os.path.join(self.work, "fuse", "disk"))
        sh(*MKFS[self.kind], self.loop)
        sh("mount", "-t", self.kind, self.loop, self.mount)
        with open(self.record + ".count", "r+b") as file:
            self.count = mmap.mmap(file.fileno(), 8)
        self.begin = self.events()

    def events(self):
        return struct.unpack("<Q", self.count[:])[0]

    def produce(self, leatd, topic, lines):
        self.sent[topic] += lines
        # Idempotent: else what is refused for a moment (the topics reject) comes again behind later batches.
        harness.kcat_produce(leatd.port, topic, lines, "batch.size=8192", "linger.ms=1", "enable.idempotence=true")
        self.acknowledged.append((self.events(), topic, len(self.sent[topic])))

    def work_on(self, leatd, rounds, chance):
        """Small and large groups, a topic that stays and one that is recycled; the ring turns twice."""
        for number in range(rounds):
            for _ in range(chance.randrange(1, 4)):
                self.produce(leatd, KEPT, ["%06d %s" % (len(self.sent[KEPT]) + i, "k" * chance.randrange(200))
                                           for i in range(chance.choice((1, 1, 2, 20)))])
            self.produce(leatd, CHURN, ["%06d %s" % (len(self.sent[CHURN]) + i, "c" * chance.randrange(2000)) for i in range(60)])
            if number % 25 == 24:
                self.produce(leatd, KEPT, ["%06d after %s" % (len(self.sent[KEPT]), "a stop" if number % 50 == 24 else "a kill")])
                leatd.stop() if number % 50 == 24 else leatd.kill()
                leatd.start()

    def stop(self):
        sh("umount", self.mount, check=False)
        if self.loop:
            sh("losetup", "-d", self.loop, check=False)
        sh("umount", "-l", os.path.join(self.work, "fuse"), check=False)
        if self.recorder:
            self.recorder.kill()
            self.recorder.wait()


def leatd_on(machine, mount, folder):
    made = harness.Leatd(folder, "--http", "off", "--config", machine.config, budget=BUDGET)
    made.data = os.path.join(mount, "data")
    return made


class Replay:
    """Crash states out of a record, moments rising."""

    def __init__(self, machine):
        self.machine = machine
        with open(machine.record, encoding="ascii") as file:
            self.events = [json.loads(line) for line in file if line.endswith("\n")]
        self.flushes = [i for i, event in enumerate(self.events) if "f" in event]
        self.data = open(machine.record + ".data", "rb")
        self.durable = os.path.join(machine.work, "durable")
        with open(self.durable, "wb") as file:
            file.truncate(SIZES[machine.kind])
        self.applied = 0

    def bytes_of(self, event):
        return os.pread(self.data.fileno(), event["n"], event["at"])

    def make(self, moment, how, chance, flush):
        """The image of that moment; `flush`: the last one that is believed."""
        with open(self.durable, "r+b") as file:
            for event in self.events[self.applied:flush]:
                if "w" in event:
                    os.pwrite(file.fileno(), self.bytes_of(event), event["w"])
        self.applied = max(self.applied, flush)
        image = os.path.join(self.machine.work, "crashed.img")
        sh("cp", "--sparse=always", self.durable, image)
        with open(image, "r+b") as file:
            for event in self.events[flush:moment]:
                if "f" in event or how == "none" or (how == "requests" and chance.random() < 0.5):
                    continue
                data = self.bytes_of(event)
                if how != "sectors":
                    os.pwrite(file.fileno(), data, event["w"])
                    continue
                for at in range(0, len(data), SECTOR):
                    if chance.random() < 0.5:
                        os.pwrite(file.fileno(), data[at:at + SECTOR], event["w"] + at)
        return image


def check(machine, image, moment):
    """Mounts, verifies, reads. Returns what is wrong, or nothing; and whether fsck had to help."""
    mount, folder = os.path.join(machine.work, "crashed"), os.path.join(machine.work, "run")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    words, helped = ["mount", "-t", machine.kind, "-o", "loop", image, mount], False
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode and machine.kind == "ext4":  # a torn superblock: what an appliance does at every boot
        subprocess.run(["e2fsck", "-p", image], stdout=subprocess.DEVNULL)
        helped = True
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        return "cannot be mounted: " + done.stdout.strip(), helped
    leatd = leatd_on(machine, mount, folder)
    try:
        if os.path.exists(os.path.join(leatd.data, "leat.log")):
            verify = subprocess.run([machine.options.leatd, "log", "verify", leatd.data], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            # A footer that was being written is torn: no record depends on it.
            damage = [line for line in verify.stdout.splitlines() if line.startswith("damage:") and not line.endswith("costs no record")]
            unborn = "nothing was ever written here" in verify.stdout and not any(event <= moment for event, _, _ in machine.acknowledged)
            if damage or (verify.returncode not in (0, 1) and not unborn):
                return "verify: " + verify.stdout[-800:], helped
        try:
            leatd.start()
        except AssertionError as error:
            return str(error), helped
        for topic in (KEPT, CHURN):
            acknowledged = max((lines for event, name, lines in machine.acknowledged if name == topic and event <= moment), default=0)
            sent = machine.sent[topic]
            try:
                have = harness.kcat_consume(leatd.port, topic) if acknowledged else []
            except subprocess.CalledProcessError as error:
                return "%s cannot be read: %s" % (topic, error), helped
            start = int(have[0][:6]) if have else 0
            if topic == KEPT and start != 0:
                return "%s begins with record %d" % (topic, start), helped
            if have != sent[start:start + len(have)]:
                wrong = next((i for i, line in enumerate(have) if [line] != sent[start + i:start + i + 1]), len(have))
                return "%s: record %d of %d from %d on was not sent so: %s" % (topic, wrong, len(have), start, have[wrong - 1:wrong + 2]), helped
            if start + len(have) < acknowledged:
                return "%s: %d records end at %d, %d were acknowledged" % (topic, len(have), start + len(have), acknowledged), helped
        return None, helped
    finally:
        leatd.close()
        harness.wait_for(lambda: subprocess.run(["umount", mount], stderr=subprocess.DEVNULL).returncode == 0, "umount")


def states(machine, count, chance):
    """Replays; returns a line of what came out. A violation ends the run."""
    replay = Replay(machine)
    usable = [flush for flush in replay.flushes if machine.begin <= flush < machine.end]
    moments = []
    for flush in (chance.choice(usable) for _ in range(count)):
        later = next((other for other in replay.flushes if other > flush), machine.end)
        moments.append((chance.randrange(flush + 1, later + 1), flush))
    helped, how_often = 0, {}
    for moment, flush in sorted(moments):
        how = chance.choice(("none", "all", "requests", "sectors", "sectors"))
        image = replay.make(moment, how, chance, flush)
        wrong, fsck = check(machine, image, moment)
        helped += fsck
        how_often[how] = how_often.get(how, 0) + 1
        if wrong:
            kept = os.path.join(machine.work, "violation.img")
            shutil.copy(image, kept)
            raise SystemExit("%s, moment %d (last flush %d), %s: %s\nThe image is %s" % (machine.kind, moment, flush, how, wrong, kept))
    # The proof that this can fail: a disk on which the last flushes were worth nothing.
    seen = 0
    lying = Replay(machine)
    for moment in sorted(chance.sample(range((machine.begin + machine.end) // 2, machine.end), 6)):
        flush = [other for other in lying.flushes if other <= moment][-LIE_FLUSHES]
        seen += check(machine, lying.make(moment, "none", chance, flush), moment)[0] is not None
    if seen == 0:
        raise SystemExit("%s: a disk that forgets %d flushes was not noticed" % (machine.kind, LIE_FLUSHES))
    return "%d states of %d flushes held (%s; fsck helped in %d); a disk that forgets %d flushes was seen in %d of 6" % (
        count, len(usable), ", ".join("%s %d" % item for item in sorted(how_often.items())), helped, LIE_FLUSHES, seen)


def shut_down(options, kind, work, chance):
    """The file system's own power switch, without a recorder: nothing that was acknowledged is gone after it."""
    machine = Machine(options, kind, work)
    image = os.path.join(work, "disk")
    sh(*MKFS[kind], image)
    cuts = 5
    for cut in range(cuts):
        sh("mount", "-t", kind, "-o", "loop", image, machine.mount)
        folder = os.path.join(work, "life-%d" % cut)
        os.makedirs(folder)
        leatd = leatd_on(machine, machine.mount, folder).start()
        try:
            machine.events = lambda: 0
            if cut == 0:
                make_topics(leatd)
            machine.work_on(leatd, 6, chance)
            door = os.open(machine.mount, os.O_RDONLY)
            fcntl.ioctl(door, SHUTDOWN_IOCTL, NO_LOG_FLUSH)
            os.close(door)
        finally:
            leatd.close()
            harness.wait_for(lambda: subprocess.run(["umount", machine.mount], stderr=subprocess.DEVNULL).returncode == 0, "umount")
        wrong, _ = check(machine, image, 0)
        if wrong:
            raise SystemExit("%s, shutdown ioctl: %s" % (kind, wrong))
    return "%d shutdowns, %d records acknowledged, none lost" % (cuts, sum(map(len, machine.sent.values())))


def make_topics(leatd):
    for topic, settings in ((KEPT, []), (CHURN, ["-c", "retention.bytes=%d" % CHURN_BYTES])):
        sh(os.environ["LEAT"], "-b", "127.0.0.1:%d" % leatd.port, "topics", "create", topic, "-c", "leat.full.policy=reject", *settings)


def record(machine, rounds, chance):
    machine.start()
    folder = os.path.join(machine.work, "live")
    os.makedirs(folder)
    leatd = leatd_on(machine, machine.mount, folder)
    try:
        leatd.start()
        make_topics(leatd)
        machine.work_on(leatd, rounds, chance)
        machine.end = machine.events()
    finally:
        leatd.close()
        machine.stop()


def main():
    global harness
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leatd", required=True)
    parser.add_argument("--leat", required=True, help="the command line tool")
    parser.add_argument("--work", required=True)
    parser.add_argument("--fs", default="ext4,xfs")
    parser.add_argument("--states", type=int, default=300, help="for each file system")
    parser.add_argument("--rounds", type=int, default=60, help="how much is written")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options = parser.parse_args()
    options.leatd = os.path.abspath(options.leatd)
    os.environ.update(LEATD=options.leatd, LEAT=os.path.abspath(options.leat))
    sys.path.insert(0, os.path.join(HERE, "..", "process"))
    import harness  # asks for LEATD when it is loaded
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    own_mounts()
    print("SEED=%d" % options.seed, flush=True)
    work = os.path.abspath(options.work)
    shutil.rmtree(work, ignore_errors=True)
    for kind in options.fs.split(","):
        chance, began = random.Random("%d %s" % (options.seed, kind)), time.monotonic()
        machine = Machine(options, kind, os.path.join(work, kind))
        try:
            record(machine, options.rounds, chance)
            print("%-5s %s" % (kind, states(machine, options.states, chance)), flush=True)
        finally:
            machine.stop()
        print("%-5s %s; %d s" % (kind, shut_down(options, kind, os.path.join(work, kind + "-shutdown"), chance), time.monotonic() - began),
              flush=True)
    shutil.rmtree(work)


if __name__ == "__main__":
    main()
