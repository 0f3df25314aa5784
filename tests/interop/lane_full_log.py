"""A log that is full, and producers that keep their records until there is room: Kafka's Java client, librdkafka and the SDK,
each on a topic that rejects and on one that blocks, all idempotent. Room comes by deleted records, by a shorter retention,
and by an uplink that catches up; then everything is there, in order, once."""
import json
import os
import subprocess
import time
import urllib.request

import lane_java
from brokers import Leatd, answers
from free_ports import free_ports
from lane import Failed, want_equal

BUDGET = "4MiB"  # 64 segments of 64 KiB
COUNT = 60
POLICIES = ("reject", "block")
CLIENTS = ("kafka-verifiable-producer", "librdkafka", "leat-on-leatd")
# Longer than the clients' request timeouts: what blocks is answered with REQUEST_TIMED_OUT meanwhile, and comes again.
FULL_SECONDS = 8


def topic_of(client, policy):
    return "full-%s-%s" % (client, policy)


def status(broker):
    with urllib.request.urlopen("http://127.0.0.1:%d/status" % (broker.port + 1), timeout=20) as answer:
        return json.load(answer)


def partition(broker, topic):
    return next(t["partitions"][0] for t in status(broker)["topics"] if t["name"] == topic)


class Round:
    def __init__(self, lane, options, broker, name):
        self.lane, self.options, self.broker, self.name = lane, options, broker, name
        self.running, self.wanted = {}, {}

    def leat(self, *words):
        return self.lane.run([self.options.leat, *words, "-b", self.broker.bootstrap])

    def fill(self):
        self.leat("topics", "create", "filler", "--config", "leat.full.policy=reject", "--partitions", "1")
        for client in CLIENTS:
            for policy in POLICIES:
                self.leat("topics", "create", topic_of(client, policy), "--config", "leat.full.policy=" + policy,
                          "--partitions", "1")
        # Until even a small batch finds no room: what is not taken in time is given up by kcat, which is the point.
        for size, seconds, at_once in ((14000, 6, 1000), (300, 3, 1)):
            lines = b"".join(os.urandom(size // 2).hex().encode() + b"\n" for _ in range(5_000_000 // size))
            subprocess.run(["kcat", "-P", "-b", self.broker.bootstrap, "-t", "filler", "-p", "0", "-X", "batch.size=30000",
                            "-X", "batch.num.messages=%d" % at_once, "-X", "message.timeout.ms=%d" % (seconds * 1000)],
                           input=lines, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)
        self.refused = status(self.broker)["log"]["append_rejected_full_total"]
        if self.refused == 0 or status(self.broker)["produce"]["throttle_ms"] < 500:
            raise Failed("the log did not fill up")

    def command(self, client, topic):
        if client == "librdkafka":
            return [self.options.rdkafka, self.broker.bootstrap, topic]
        if client == "leat-on-leatd":
            return [self.options.leat, "produce", topic, "-b", self.broker.bootstrap, "--timeout", "100"]
        words = lane_java.verifiable(self.lane, topic, COUNT, -1, enable_idempotence="true")
        path = os.path.join(self.lane.work, topic + ".properties")
        with open(path, "w", encoding="utf-8") as file:
            file.write("enable.idempotence=true\nacks=all\nretries=1000\nrequest.timeout.ms=6000\ndelivery.timeout.ms=120000\nbatch.size=100\n")
        words[words.index("--bootstrap-server") + 1] = self.broker.bootstrap
        return words[:-1] + [path]

    def begin(self):
        """All of them at once, into a full log."""
        for client in CLIENTS:
            for policy in POLICIES:
                topic = topic_of(client, policy)
                process = self.lane.spawn(self.command(client, topic))
                lines = [b"%d" % i if client.startswith("kafka") else b"%s %s %d" % (self.name.encode(), topic.encode(), i)
                         for i in range(COUNT)]
                self.wanted[topic] = lines
                if client.startswith("kafka"):
                    process.stdin.close()
                    process.stdin = None
                else:
                    process.stdin.write(b"".join(line + b"\n" for line in lines))
                    process.stdin.close()
                    process.stdin = None
                self.running[topic] = process
        time.sleep(FULL_SECONDS + 3)  # Java takes its time to start
        now = status(self.broker)
        if now["log"]["append_rejected_full_total"] <= self.refused or now["sessions"]["parked_produces"] == 0:
            raise Failed("nobody was refused, or nobody waits: %s" % now["sessions"])
        for topic, process in self.running.items():
            if process.poll() is not None:
                raise Failed("%s ended while the log was full, with code %s\n%s" % (topic, process.returncode, self.lane.client_errors()))

    def end(self, read):
        """What each client said at its end, and what is there: a result for each."""
        for client in CLIENTS:
            for policy in POLICIES:
                topic = topic_of(client, policy)
                with self.lane.step(client, policy):
                    said = self.lane.finish(self.running.pop(topic))
                    if client.startswith("kafka"):
                        lane_java.acked_of(said, COUNT)
                    want_equal(self.wanted[topic], read(topic))
        now = status(self.broker)
        lost = [t["name"] for t in now["topics"] for p in t["partitions"] if p["books"]["lost"]]
        if lost or now["log"]["dropped_records_total"]:
            raise Failed("lost something of %s" % lost)

    def run(self, make_room, read):
        try:
            self.fill()
            self.begin()
            make_room(self)
            self.end(read)
        except Failed as failed:  # of the round as a whole: nobody passes
            for client in CLIENTS:
                for policy in POLICIES:
                    self.lane.record(client, policy, "%s: %s" % (self.name, failed))
        finally:
            for process in self.running.values():
                process.kill()
                process.communicate()


def values(lane, broker, topic):
    out = lane.run(["kcat", "-C", "-e", "-q", "-b", broker.bootstrap, "-t", topic, "-p", "0", "-f", "%s\n"])
    return out.split(b"\n")[:-1]


def delete_records(round):
    round.leat("topics", "delete-records", "filler", "--before", str(partition(round.broker, "filler")["high_watermark"] // 2))


def shorter_retention(round):
    round.leat("configs", "set", "filler", "retention.bytes=500000")


def run(lane, options):
    for name, make_room in (("delete-records", delete_records), ("retention", shorter_retention)):
        broker = Leatd(options.leatd, os.path.join(lane.work, name), budget=BUDGET).start()
        try:
            Round(lane, options, broker, name).run(make_room, lambda topic, broker=broker: values(lane, broker, topic))
        finally:
            if lane.failed():
                print("--- the end of the broker's log (%s)\n" % name + broker.tail())
            broker.stop()
    by_uplink(lane, options)


def by_uplink(lane, options):
    """The center is away while the gateway fills; everything goes there once it is back."""
    center = Leatd(options.leatd, os.path.join(lane.work, "center"))
    center.port = free_ports(1)[0]
    config = os.path.join(lane.work, "gateway.json")
    with open(config, "w", encoding="utf-8") as file:
        json.dump({"routes": [{"bootstrap.servers": center.bootstrap, "topics": ["*"], "create.topics": True,
                               "retry.backoff.max.ms": "1s"}]}, file)
    gateway = Leatd(options.leatd, os.path.join(lane.work, "gateway"), config=config, budget=BUDGET).start()

    def center_comes(_):
        os.makedirs(center.folder, exist_ok=True)
        if answers(center.port):
            raise Failed("somebody else took the center's port")
        center.again()

    def read(topic):
        end = time.monotonic() + 60
        want = partition(gateway, topic)["high_watermark"]
        while partition(gateway, topic)["uplinked_offset"] < want:
            if time.monotonic() > end:
                raise Failed("%s does not get to the center" % topic)
            time.sleep(0.2)
        return values(lane, center, topic)

    try:
        Round(lane, options, gateway, "uplink").run(center_comes, read)
    finally:
        if lane.failed():
            print("--- the end of the gateway's log\n" + gateway.tail())
        gateway.stop()
        if center.process:
            center.stop()
