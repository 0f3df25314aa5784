"""kcat 1.7.1 (librdkafka 2.0.2), as a person would use it in a shell."""
import os
import random
import re
import subprocess
import time

from brokers import dies_with_parent
from group_steps import until
from lane import CODECS, Failed, lines_of, text_records, want_equal

FAST = ["-X", "reconnect.backoff.max.ms=500", "-X", "message.timeout.ms=120000"]


def read(lane, topic, offset="beginning"):
    out = lane.run(["kcat", "-C", "-e", "-q", "-b", lane.broker.bootstrap, "-t", topic, "-p", "0", "-o", offset,
                    "-f", "%k\t%s\n"])
    return [tuple(line.split(b"\t", 1)) for line in out.split(b"\n")[:-1]]


def produce(lane, topic, records, *more):
    lane.run(["kcat", "-P", "-b", lane.broker.bootstrap, "-t", topic, "-p", "0", "-K", "\t", *FAST, *more],
             feed=lines_of(records))


def read_binary(lane):
    """Whole files as values: bytes that no line tool could have made."""
    make, paths = random.Random(5), []
    for i, size in enumerate([1, 4096, 900_000]):
        paths.append(os.path.join(lane.work, "blob%d" % i))
        with open(paths[-1], "wb") as file:
            file.write(make.randbytes(size))
    lane.run(["kcat", "-P", "-b", lane.broker.bootstrap, "-t", "kcat-blobs", "-p", "0", *FAST, *paths])
    for i, path in enumerate(paths):
        out = lane.run(["kcat", "-C", "-e", "-q", "-b", lane.broker.bootstrap, "-t", "kcat-blobs", "-p", "0",
                        "-o", str(i), "-c", "1", "-D", "", "-f", "%s"])
        with open(path, "rb") as file:
            if out != file.read():
                raise Failed("the binary value %d came back changed" % i)


class Member:
    """A `kcat -G`, which prints what it reads as PARTITION OFFSET VALUE, and what it owns on stderr."""

    def __init__(self, lane, group, topic, *more):
        self.path = os.path.join(lane.work, "member%d" % time.monotonic_ns())
        with open(self.path + ".out", "wb") as out, open(self.path + ".err", "wb") as err:
            self.process = subprocess.Popen(
                ["kcat", "-E", "-G", group, "-b", lane.broker.bootstrap, "-u", "-f", "%p %o %s\\n", "-X", "auto.offset.reset=earliest",
                 "-X", "auto.commit.interval.ms=100", "-X", "heartbeat.interval.ms=300", "-X", "session.timeout.ms=10000",
                 "-X", "reconnect.backoff.max.ms=500", *more, topic],
                stdin=subprocess.DEVNULL, stdout=out, stderr=err, preexec_fn=dies_with_parent)

    def rebalances(self):
        with open(self.path + ".err", encoding="utf-8") as file:
            return [line for line in file if "rebalanced" in line]

    def owned(self):
        lines = self.rebalances()
        return set(re.findall(r"\[(\d+)\]", lines[-1])) if lines and "assigned" in lines[-1] else set()

    def read(self):
        with open(self.path + ".out", encoding="utf-8") as file:
            return [tuple(line.split()) for line in file if line.endswith("\n")]

    def end(self):
        self.process.terminate()
        self.process.wait(30)


def values(first, count):
    return {(str(p), str(i), "%d-%d" % (p, i)) for p in range(4) for i in range(first, first + count)}


def send_values(lane, topic, first, count):
    for partition in range(4):
        lane.run(["kcat", "-P", "-b", lane.broker.bootstrap, "-t", topic, "-p", str(partition)],
                 feed=b"".join(b"%d-%d\n" % (partition, i) for i in range(first, first + count)))


def owns(*members):
    return sorted(p for m in members for p in m.owned()) == list("0123") and all(m.owned() for m in members)


def groups(lane):
    """Topics with four partitions: kcat cannot make them, so the lane's configuration does (num.partitions)."""
    members = []

    def member(*words):
        members.append(Member(lane, *words))
        return members[-1]

    with lane.step("kcat", "group"):
        send_values(lane, "kcat-pair", 0, 50)
        fixed, other = member("pair", "kcat-pair", "-X", "group.instance.id=static-1"), member("pair", "kcat-pair")
        until(lambda: owns(fixed, other), "split")
        until(lambda: set(fixed.read() + other.read()) == values(0, 50), "end of reading")
        time.sleep(0.5)  # the automatic commit is every 0.1 s
        before, count = fixed.owned(), len(other.rebalances())
        fixed.end()
        again = member("pair", "kcat-pair", "-X", "group.instance.id=static-1")
        until(lambda: owns(again, other), "return of the static member")
        if again.owned() != before or len(other.rebalances()) != count or again.read():
            raise Failed("static member: %s, then %s; %s" % (before, again.owned(), other.rebalances()))
        other.end()
        until(lambda: owns(again), "inheritance of the one that left")
        again.end()
    with lane.step("kcat", "resume"):
        send_values(lane, "kcat-resume", 0, 40)
        living = member("resume", "kcat-resume")
        until(lambda: set(living.read()) == values(0, 40), "first reading")
        time.sleep(0.5)  # as above
        lane.kill_and_restart()
        send_values(lane, "kcat-resume", 40, 40)
        until(lambda: len(living.read()) >= 320, "reading after the kill")
        living.end()
        if sorted(living.read()) != sorted(values(0, 80)):
            raise Failed("the member that lived on read %d records, %d of them new" % (len(living.read()), len(set(living.read()))))
        send_values(lane, "kcat-resume", 80, 10)
        new = member("resume", "kcat-resume")
        until(lambda: len(new.read()) >= 40, "reading of a new member")
        new.end()
        if set(new.read()) != values(80, 10):
            raise Failed("a new member read %s" % sorted(new.read()))
    for left in members:
        left.process.kill()


def run(lane, options):
    wrote = {}
    with lane.step("kcat", "topic"):
        produce(lane, "kcat-none", [])  # asking for its metadata makes the topic
        out = lane.run(["kcat", "-L", "-b", lane.broker.bootstrap, "-t", "kcat-new"])
        end = time.monotonic() + 30
        while b'topic "kcat-new" with 4 partitions' not in out or b"not available" in out:
            if time.monotonic() > end:
                raise Failed(out.decode())
            time.sleep(0.2)
            out = lane.run(["kcat", "-L", "-b", lane.broker.bootstrap, "-t", "kcat-new"])
    for seed, codec in enumerate(CODECS):
        with lane.step("kcat", codec):
            wrote["kcat-" + codec] = text_records(seed, 400)
            produce(lane, "kcat-" + codec, wrote["kcat-" + codec], "-z", codec, "-X", "acks=all")
    with lane.step("kcat", "idempotent"):
        wrote["kcat-idempotent"] = text_records(20, 2000)
        produce(lane, "kcat-idempotent", wrote["kcat-idempotent"], "-X", "enable.idempotence=true", "-z", "lz4",
                "-X", "batch.num.messages=50")
        want_equal(wrote["kcat-idempotent"], read(lane, "kcat-idempotent"))
    with lane.step("kcat", "read-back"):
        for topic, records in wrote.items():
            want_equal(records, read(lane, topic))
        want_equal(wrote["kcat-gzip"][-30:], read(lane, "kcat-gzip", "-30"))
        read_binary(lane)
    with lane.step("kcat", "sigkill"):
        records = text_records(30, 4000)
        process = lane.spawn(["kcat", "-P", "-E", "-b", lane.broker.bootstrap, "-t", "kcat-killed", "-p", "0", "-K", "\t", *FAST,
                              "-X", "enable.idempotence=true", "-X", "batch.num.messages=20", "-X", "linger.ms=2"],
                             stdout=subprocess.DEVNULL)
        for first in range(0, len(records), 400):  # the kill comes between and during sends
            process.stdin.write(lines_of(records[first:first + 400]))
            process.stdin.flush()
            time.sleep(0.05)
            if first == 1600:
                lane.kill_and_restart()
        lane.finish(process)
        wrote["kcat-killed"] = records
        want_equal(records, read(lane, "kcat-killed"))
    with lane.step("kcat", "go-on"):
        more = text_records(40, 300)
        produce(lane, "kcat-zstd", more, "-z", "zstd")
        wrote["kcat-zstd"] += more
        for topic, records in wrote.items():
            want_equal(records, read(lane, topic))
    groups(lane)
