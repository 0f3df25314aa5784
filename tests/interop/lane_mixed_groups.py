"""Groups with members of both protocols (KIP-848, group.consumer.migration.policy=bidirectional): librdkafka's, then Java's."""
import os
import sys

from group_steps import until
from java_process import Tools
from lane import Failed
from lane_java_groups import MEMBER_SECONDS_MAX, Member, owns, send

SETTINGS = ["group.consumer.migration.policy=bidirectional", "group.consumer.min.heartbeat.interval.ms=300",
            "group.consumer.heartbeat.interval.ms=300"]
TOPIC = "mixed-java"


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


def run(lane, options):
    python = os.environ.get("LEAT_PYTHON", sys.executable)
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "mixed_client.py")
    lane.converse("confluent-kafka-mixed", [python, script, lane.broker.bootstrap])
    with Tools(lane) as tools:
        java(lane, tools)
