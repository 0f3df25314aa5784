"""kcat 1.7.1 (librdkafka 2.0.2), as a person would use it in a shell."""
import os
import random
import subprocess
import time

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


def run(lane, options):
    wrote = {}
    with lane.step("kcat", "topic"):
        produce(lane, "kcat-none", [])  # asking for its metadata makes the topic
        out = lane.run(["kcat", "-L", "-b", lane.broker.bootstrap, "-t", "kcat-new"])
        end = time.monotonic() + 30
        while b'topic "kcat-new" with 1 partitions' not in out or b"not available" in out:
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
