"""Kafka Connect standalone with a file at both ends, and MirrorMaker 2 with leatd at both ends; from Apache Kafka 4.3.1."""
import collections
import os
import signal
import subprocess
import time

import brokers
from group_steps import until
from free_ports import free_ports
from lane import Failed, ordered_unique, want_equal
from lane_java import KAFKA_SH, make_topic, tool

SECONDS_MAX = 180  # a worker loads some hundred classes before it does anything
HEAP = "256m"


def write(path, settings):
    with open(path, "w", encoding="utf-8") as file:
        for name, value in settings.items():
            file.write("%s=%s\n" % (name, value))
    return path


class Worker:
    """One Java process; `end` lets it flush and commit, as an operator's stop does."""

    def __init__(self, lane, name, *words):
        self.log = os.path.join(lane.work, name + ".log")
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(["env", "LEAT_KAFKA_TOOL_HEAP=" + HEAP, "sh", KAFKA_SH, "run", *words],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            preexec_fn=brokers.dies_with_parent)

    def until(self, condition, what):
        def done():
            if self.process.poll() is not None:
                raise Failed("the worker ended by itself:\n" + self.tail())
            time.sleep(0.2)  # most looks start a program
            return condition()
        try:
            until(done, what, SECONDS_MAX)
        except AssertionError as late:
            raise Failed("%s\n%s" % (late, self.tail())) from None

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Failed("no end 60 s after SIGTERM:\n" + self.tail()) from None

    def tail(self):
        with open(self.log, errors="replace") as log:
            return "".join(log.readlines()[-15:])


def read(lane, broker, topic, partition):
    """(key, value) of a partition, or nothing while it is not there."""
    try:
        out = lane.run(["kcat", "-C", "-e", "-q", "-b", broker.bootstrap, "-t", topic, "-p", str(partition), "-f", "%k\t%s\n"])
    except Failed:
        return []
    return [tuple(line.split(b"\t", 1)) for line in out.split(b"\n")[:-1]]


def at_least_once(want, have):
    """All of it, in order, and nothing else; some may stand there again after a kill."""
    want_equal(want, list(dict.fromkeys(have)))


# ---- Connect

def lines(first, count):
    return [b"%d %s" % (i, b"=" * (i * 7 % 90)) for i in range(first, first + count)]


def append(path, more):
    with open(path, "ab") as file:
        file.write(b"".join(line + b"\n" for line in more))


def content(path):
    if not os.path.exists(path):
        return []
    with open(path, "rb") as file:
        return file.read().split(b"\n")[:-1]


def connect(lane):
    name, topic = "kafka-connect", "connect-lines"
    source, sink = os.path.join(lane.work, "in.txt"), os.path.join(lane.work, "out.txt")
    worker = write(os.path.join(lane.work, "worker.properties"), {
        "bootstrap.servers": lane.broker.bootstrap, "offset.storage.file.filename": os.path.join(lane.work, "offsets"),
        "key.converter": "org.apache.kafka.connect.storage.StringConverter",
        "value.converter": "org.apache.kafka.connect.storage.StringConverter", "offset.flush.interval.ms": 500,
        "plugin.discovery": "service_load", "listeners": "http://127.0.0.1:%d" % free_ports(1)[0],
        "producer.reconnect.backoff.max.ms": 500, "consumer.reconnect.backoff.max.ms": 500,
        "producer.request.timeout.ms": 10000, "task.shutdown.graceful.timeout.ms": 30000})
    file_in = write(os.path.join(lane.work, "in.properties"), {
        "name": "in", "connector.class": "org.apache.kafka.connect.file.FileStreamSourceConnector", "tasks.max": 1,
        "file": source, "topic": topic, "producer.override.enable.idempotence": "true",
        "topic.creation.default.replication.factor": -1, "topic.creation.default.partitions": 1})
    file_out = write(os.path.join(lane.work, "out.properties"), {
        "name": "out", "connector.class": "org.apache.kafka.connect.file.FileStreamSinkConnector", "tasks.max": 1,
        "file": sink, "topics": topic, "consumer.override.metadata.max.age.ms": 2000,
        "consumer.override.session.timeout.ms": 10000})
    words = ("org.apache.kafka.connect.cli.ConnectStandalone", worker, file_in, file_out)
    wrote = lines(0, 500)
    append(source, wrote)
    running = Worker(lane, "connect", *words)
    with lane.step(name, "topic"):
        running.until(lambda: read(lane, lane.broker, topic, 0), "record of the source")
    with lane.step(name, "read-back"):
        running.until(lambda: len(content(sink)) >= len(wrote), "file of the sink")
        want_equal(wrote, content(sink))
    with lane.step(name, "sigkill"):
        for _ in range(5):
            wrote += lines(len(wrote), 100)
            append(source, wrote[-100:])
            if len(wrote) == 800:
                lane.kill_and_restart()
        running.until(lambda: content(sink)[-1:] == wrote[-1:], "last line after the kill")
        at_least_once(wrote, content(sink))
        want_equal(wrote, [value for _, value in read(lane, lane.broker, topic, 0)])  # its producer is idempotent
    with lane.step(name, "resume"):
        running.end()
        before = len(content(sink))
        wrote += lines(len(wrote), 200)
        append(source, wrote[-200:])
        running = Worker(lane, "connect", *words)
        running.until(lambda: content(sink)[-1:] == wrote[-1:], "last line after the restart of the worker")
        want_equal(wrote[-200:], content(sink)[before:])
        want_equal(wrote, [value for _, value in read(lane, lane.broker, topic, 0)])
    running.process.kill()


# ---- MirrorMaker 2

def mirrored(first, count):
    return {p: [(b"k%d" % (i % 5), b"%d-%d %s" % (p, i, b"m" * (i * 11 % 200))) for i in range(first, first + count)]
            for p in range(4)}


def produce(lane, broker, topic, records):
    for partition, some in records.items():
        lane.run(["kcat", "-P", "-b", broker.bootstrap, "-t", topic, "-p", str(partition), "-K", "\t"],
                 feed=b"".join(key + b"\t" + value + b"\n" for key, value in some))


def mirror(lane, target):
    name, topic, copy = "kafka-mirror-maker", "mm-in", "a.mm-in"
    config = write(os.path.join(lane.work, "mirror.properties"), {
        "clusters": "a, b", "a.bootstrap.servers": lane.broker.bootstrap, "b.bootstrap.servers": target.bootstrap,
        "a->b.enabled": "true", "a->b.topics": "mm-.*", "b->a.enabled": "false", "replication.factor": 1,
        "offset-syncs.topic.replication.factor": 1, "checkpoints.topic.replication.factor": 1,
        "heartbeats.topic.replication.factor": 1, "offset.storage.replication.factor": 1, "config.storage.replication.factor": 1,
        "status.storage.replication.factor": 1, "offset.storage.partitions": 2, "status.storage.partitions": 1,
        "refresh.topics.interval.seconds": 2, "refresh.groups.interval.seconds": 2, "sync.topic.configs.interval.seconds": 2,
        "emit.checkpoints.interval.seconds": 1, "sync.group.offsets.interval.seconds": 1, "sync.group.offsets.enabled": "true",
        "offset.lag.max": 0, "offset.flush.interval.ms": 1000, "tasks.max": 2, "plugin.discovery": "service_load",
        "a.reconnect.backoff.max.ms": 500, "b.reconnect.backoff.max.ms": 500, "scheduled.rebalance.max.delay.ms": 2000,
        "task.shutdown.graceful.timeout.ms": 30000})
    words = ("org.apache.kafka.connect.mirror.MirrorMaker", config)
    make_topic(lane, topic, 4)
    lane.run(["sh", KAFKA_SH, "run", "kafka.admin.ConfigCommand", "--bootstrap-server", lane.broker.bootstrap, "--entity-type",
              "topics", "--entity-name", topic, "--alter", "--add-config", "retention.ms=7200000"])
    wrote = collections.defaultdict(list)

    def more(count):
        some = mirrored(len(wrote[0]), count)
        produce(lane, lane.broker, topic, some)
        for partition, records in some.items():
            wrote[partition] += records

    def has_last():
        return all((read(lane, target, copy, p) or [None])[-1] == wrote[p][-1] for p in range(4))

    more(300)
    # A group that has read all of it, so that there is something to translate.
    tool(lane, "consumer.ConsoleConsumer", "--topic", topic, "--group", "mm-readers", "--max-messages", "1200", "--timeout-ms", "60000",
         "--command-property", "auto.offset.reset=earliest")
    running = Worker(lane, "mirror", *words)
    with lane.step(name, "topic"):
        running.until(lambda: read(lane, target, copy, 0), "mirrored topic")
        told = lane.run(["sh", KAFKA_SH, "run", "org.apache.kafka.tools.TopicCommand", "--bootstrap-server", target.bootstrap,
                         "--describe", "--topic", copy]).decode()
        if "PartitionCount: 4" not in told or "retention.ms=7200000" not in told:
            raise Failed(told)
    with lane.step(name, "read-back"):
        running.until(has_last, "last record of each partition")
        for partition in range(4):
            want_equal(wrote[partition], read(lane, target, copy, partition))
    with lane.step(name, "group"):
        def translated():
            told = lane.run(["sh", KAFKA_SH, "run", "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
                             "--bootstrap-server", target.bootstrap, "--describe", "--all-groups"]).decode()
            rows = [line.split() for line in told.splitlines() if line.startswith("mm-readers ")]
            return len(rows) == 4 and all(row[1] == copy and row[3] == "300" for row in rows)
        running.until(translated, "group with its offsets at the target")
    with lane.step(name, "sigkill"):
        more(200)
        lane.kill_and_restart()  # the source
        more(200)
        target.kill()
        more(200)
        target.again()
        running.until(has_last, "last record after both were killed")
        for partition in range(4):
            at_least_once(wrote[partition], read(lane, target, copy, partition))
    with lane.step(name, "resume"):
        running.end()
        before = {p: len(read(lane, target, copy, p)) for p in range(4)}
        more(100)
        running = Worker(lane, "mirror", *words)
        running.until(has_last, "last record after the restart of the worker")
        for partition in range(4):  # where it stood, not from the start
            text = ordered_unique(wrote[partition][-100:], read(lane, target, copy, partition)[before[partition]:])
            if text:
                raise Failed("partition %d: %s" % (partition, text))
    running.process.kill()


def run(lane, options):
    connect(lane)
    folder = os.path.join(lane.work, "target")
    if lane.broker.name == "leatd":
        target = brokers.Leatd(options.leatd, folder, config=lane.broker.config)
    else:
        target = brokers.Kafka(folder)
    target.start()
    try:
        mirror(lane, target)
    finally:
        if lane.failed():
            print("--- the end of the target's log\n" + target.tail())
        target.stop()
