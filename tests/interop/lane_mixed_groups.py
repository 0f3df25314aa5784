"""Groups with members of both protocols (KIP-848, group.consumer.migration.policy=bidirectional): librdkafka's, then Java's."""
import os
import sys

from group_steps import until
from java_process import Tools
from lane import Failed
import lane_kcat
from lane_java_groups import MEMBER_SECONDS_MAX, Member, owns, send

SETTINGS = ["group.consumer.migration.policy=bidirectional", "group.consumer.min.heartbeat.interval.ms=300",
            "group.consumer.heartbeat.interval.ms=300"]
TOPIC = "mixed-java"
# of which both makers have one; sticky is Java's alone
ASSIGNORS = {"range": "RangeAssignor", "roundrobin": "RoundRobinAssignor", "cooperative-sticky": "CooperativeStickyAssignor"}


def java(lane, tools):
    """Kafka's verifiable consumer in both protocols: up, down, up again, with a SIGKILL of the broker in each kind of group.

    Each record is read by somebody, and what is read is committed."""
    members = []

    def member(protocol):
        members.append(Member(lane, protocol, TOPIC, TOPIC))
        return members[-1]

    def all_committed(count, *living):
        def done():
            return all(max(m.committed.get(p, 0) for m in living) == count for p in range(4))
        send(lane, TOPIC, 25)
        until(done, "commit of %d of each partition" % count, MEMBER_SECONDS_MAX)

    def is_now(kind):
        said = tools.tells("consumer.group.ConsumerGroupCommand", "--list", "--type")
        told = [line.split() for line in said.splitlines() if line.startswith(TOPIC + " ")]
        if told != [[TOPIC, kind]]:
            raise Failed("the group is %r where %s is due" % (told, kind))

    try:
        with lane.step("kafka-consumer-mixed", "resume"):
            tools.tells("TopicCommand", "--create", "--topic", TOPIC, "--partitions", "4")
            old = member("classic")
            until(lambda: owns(old), "start of the classic member", MEMBER_SECONDS_MAX)
            new = member("consumer")
            until(lambda: owns(old, new) and len(old.owned) == 2, "split in halves", MEMBER_SECONDS_MAX)
            all_committed(25, old, new)
            is_now("Consumer")
            lane.kill_and_restart(0.2)
            all_committed(50, old, new)
            new.end()
            until(lambda: owns(old), "inheritance of the consumer member", MEMBER_SECONDS_MAX)
            is_now("Classic")
            lane.kill_and_restart(0.2)
            all_committed(75, old)
            again = member("consumer")
            until(lambda: owns(old, again), "split after the second upgrade", MEMBER_SECONDS_MAX)
            old.end()
            until(lambda: owns(again), "inheritance of the classic member", MEMBER_SECONDS_MAX)
            all_committed(100, again)
            is_now("Consumer")
            again.end()
            for partition in range(4):
                read = {i for m in members for first, last in m.ranges.get(partition, []) for i in range(first, last + 1)}
                if read != set(range(100)):
                    raise Failed("partition %d: %d of 100 were read" % (partition, len(read)))
    finally:
        for left in members:
            left.process.kill()


class Pair:
    """A classic group of a member of librdkafka (kcat) and one of Java; who is there first leads it."""

    def __init__(self, lane, tools, assignor):
        self.lane, self.tools, self.assignor, self.group = lane, tools, assignor, "beside-" + assignor
        tools.tells("TopicCommand", "--create", "--topic", self.group, "--partitions", "4")
        self.kcats, self.java = [], None
        self.rdkafka_comes()

    def rdkafka_comes(self):
        self.kcats.append(lane_kcat.Member(self.lane, self.group, self.group, "-X", "partition.assignment.strategy=" + self.assignor,
                                           "-X", "topic.metadata.refresh.interval.ms=500"))

    def java_comes(self):
        self.java = Member(self.lane, "classic", self.group, self.group, strategy=ASSIGNORS[self.assignor])

    def shares(self):
        """How many partitions each member has, as the broker tells it."""
        told = self.tools.tells("consumer.group.ConsumerGroupCommand", "--describe", "--group", self.group, "--members")
        return [line.split()[-1] for line in told.splitlines() if line.startswith(self.group + " ")]

    def settled(self, shares):
        until(lambda: self.shares() == shares and len(self.java.owned or ()) == int(shares[-1]),
              "%s of %s" % (shares, self.assignor), MEMBER_SECONDS_MAX)

    def reads(self, count):
        """Each of the first `count` records of each partition was read by somebody."""
        def done():
            seen = {(p, i) for p, ranges in self.java.ranges.items() for first, last in list(ranges) for i in range(first, last + 1)}
            seen |= {(int(p), int(i)) for kcat in self.kcats for p, i, _ in kcat.read()}
            return seen == {(p, i) for p in range(4) for i in range(count)}
        until(done, "reading of all by " + self.assignor, MEMBER_SECONDS_MAX)

    def end(self):
        for process in [kcat.process for kcat in self.kcats] + [self.java.process if self.java else None]:
            if process and process.poll() is None:
                process.kill()


def beside(lane, tools):
    """Java's assignors and librdkafka's understand each other: the one leads, then the other."""
    pairs = []
    try:
        with lane.step("librdkafka-beside-java", "group"):
            for assignor in ASSIGNORS:
                pairs.append(Pair(lane, tools, assignor))
            for pair in pairs:
                until(lambda: pair.shares() == ["4"], "start of librdkafka's member", MEMBER_SECONDS_MAX)
                pair.java_comes()
            for pair in pairs:
                pair.settled(["2", "2"])
                send(lane, pair.group, 10)
                pair.reads(10)
                pair.kcats[-1].end()
            for pair in pairs:
                pair.settled(["4"])
                pair.rdkafka_comes()
            for pair in pairs:
                pair.settled(["2", "2"])
                send(lane, pair.group, 10)
                pair.reads(20)
    finally:
        for pair in pairs:
            pair.end()


def run(lane, options):
    python = os.environ.get("LEAT_PYTHON", sys.executable)
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "mixed_client.py")
    lane.converse("confluent-kafka-mixed", [python, script, lane.broker.bootstrap])
    with Tools(lane) as tools:
        java(lane, tools)
        beside(lane, tools)
