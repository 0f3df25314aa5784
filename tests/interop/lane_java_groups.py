"""Consumer groups by Kafka's own Java tools 4.3.1."""
import json
import os
import signal
import threading

from group_steps import until
from lane import Failed
from lane_java import KAFKA_SH, TOOLS, make_topic, tool

MEMBER_SECONDS_MAX = 60


class Member:
    """A kafka-verifiable-consumer, which tells what it owns and reads as lines of JSON.

    A static one has to be back within the session's time-out, and starting Java on a busy machine took more than 10 s."""

    def __init__(self, lane, protocol, group, topic, instance=None, strategy=None):
        command = ["sh", KAFKA_SH, "run", TOOLS + "VerifiableConsumer", "--bootstrap-server", lane.broker.bootstrap,
                   "--topic", topic, "--group-id", group, "--reset-policy", "earliest", "--group-protocol", protocol]
        command += ["--session-timeout", "30000"] if protocol == "classic" else []
        command += ["--assignment-strategy", "org.apache.kafka.clients.consumer." + strategy] if strategy else []
        config = os.path.join(lane.work, "member-%s.properties" % protocol)
        with open(config, "w", encoding="utf-8") as file:
            file.write("heartbeat.interval.ms=300\n" if protocol == "classic" else "")
            file.write("metadata.max.age.ms=2000\nreconnect.backoff.max.ms=500\n")
        self.process = lane.spawn(command + ["--command-config", config] +
                                  (["--group-instance-id", instance] if instance else []))
        self.owned, self.ranges, self.changes, self.committed = None, {}, 0, {}
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            if not line.startswith(b"{"):
                continue
            event = json.loads(line)
            if event["name"] == "partitions_assigned":
                # In the consumer protocol only what is new and what goes is told; in the other all of it each time.
                new = {p["partition"] for p in event["partitions"]}
                self.owned, self.changes = (self.owned or set()) | new, self.changes + bool(new)
            elif event["name"] == "partitions_revoked":
                self.owned = (self.owned or set()) - {p["partition"] for p in event["partitions"]}
            elif event["name"] == "records_consumed":
                for part in event["partitions"]:
                    self.ranges.setdefault(part["partition"], []).append((part["minOffset"], part["maxOffset"]))
            elif event["name"] == "offsets_committed" and event["success"]:
                self.committed.update((p["partition"], p["offset"]) for p in event["offsets"])

    def read_to(self, partition):
        """(first, end) of what it read without a gap and without reading twice."""
        ranges = self.ranges.get(partition, [])
        for (_, last), (first, _) in zip(ranges, ranges[1:]):
            if first != last + 1:
                raise Failed("partition %d: it read %r" % (partition, ranges))
        return (ranges[0][0], ranges[-1][1] + 1) if ranges else None

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


def send(lane, topic, count, partitions=(0, 1, 2, 3)):
    for partition in partitions:
        lane.run(["kcat", "-P", "-b", lane.broker.bootstrap, "-t", topic, "-p", str(partition)],
                 feed=b"".join(b"%d-%d\n" % (partition, i) for i in range(count)))


def groups(lane, *words):
    return tool(lane, "consumer.group.ConsumerGroupCommand", *words).decode()


def owns(*members):
    return sorted(p for m in members for p in m.owned or ()) == [0, 1, 2, 3] and all(m.owned for m in members)


def verifiable_consumer(lane, client="kafka-verifiable-consumer", protocol="classic"):
    members = []

    def member(*words):
        members.append(Member(lane, protocol, *words))
        return members[-1]

    with lane.step(client, "group"):
        make_topic(lane, "g-pair", 4)
        send(lane, "g-pair", 50)
        fixed, other = member("g-pair", "g-pair", "static-1"), member("g-pair", "g-pair")
        until(lambda: owns(fixed, other) and len(fixed.owned) == 2, "split in halves", MEMBER_SECONDS_MAX)
        until(lambda: sum(m.committed.get(p) == 50 for m in members for p in range(4)) >= 4, "commit of all that is read")
        before, changes = fixed.owned, other.changes
        fixed.end()
        again = member("g-pair", "g-pair", "static-1")
        until(lambda: owns(again, other), "return of the static member", MEMBER_SECONDS_MAX)
        if again.owned != before or other.changes != changes or again.ranges:
            raise Failed("static member: %r, then %r; the other's rebalances: %d, then %d; read again: %r" % (
                before, again.owned, changes, other.changes, again.ranges))
        told = groups(lane, "--describe", "--group", "g-pair")
        if told.count("g-pair ") < 4 or "static-1" not in groups(lane, "--describe", "--group", "g-pair", "--members"):
            raise Failed("the group is described as\n" + told)
        other.end()
        until(lambda: owns(again), "inheritance of the one that left", MEMBER_SECONDS_MAX)
        again.end()
    with lane.step(client, "resume"):
        make_topic(lane, "g-resume", 4)
        send(lane, "g-resume", 40)
        living = member("g-resume", "g-resume")
        until(lambda: [living.committed.get(p) for p in range(4)] == [40] * 4, "commit of the first reading", MEMBER_SECONDS_MAX)
        lane.kill_and_restart()
        until(lambda: "g-resume" in groups(lane, "--list"), "group after the kill")
        send(lane, "g-resume", 40)
        until(lambda: [living.committed.get(p) for p in range(4)] == [80] * 4, "commit after the kill", MEMBER_SECONDS_MAX)
        if [living.read_to(p) for p in range(4)] != [(0, 80)] * 4:
            raise Failed("read: %r" % living.ranges)
        living.end()
        send(lane, "g-resume", 10)
        new = member("g-resume", "g-resume")
        until(lambda: [new.read_to(p) for p in range(4)] == [(80, 90)] * 4, "reading where the commit stands", MEMBER_SECONDS_MAX)
        new.end()
    for left in members:
        left.process.kill()


def console_consumer(lane):
    def read(count):
        return tool(lane, "consumer.ConsoleConsumer", "--topic", "g-console", "--group", "g-console", "--max-messages", str(count),
                    "--timeout-ms", "60000", "--command-property", "auto.offset.reset=earliest").split(b"\n")[:-1]

    with lane.step("kafka-console-consumer", "resume"):
        send(lane, "g-console", 100, [0])
        first = read(60)
        lane.kill_and_restart(0.2)
        if first + read(40) != [b"0-%d" % i for i in range(100)]:
            raise Failed("read before the kill: %r" % first)


def wants(told, *parts):
    for part in parts:
        if part not in told:
            raise Failed("%r is not in\n%s" % (part, told))


def run(lane, options):
    verifiable_consumer(lane)
    console_consumer(lane)
