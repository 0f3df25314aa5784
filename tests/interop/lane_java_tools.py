"""Kafka's own tools 4.3.1 that measure, where the other Java lanes have those that produce, read and change."""
import re

from lane import Failed
from lane_java import acked_of, check_perf, perf, tool, verifiable

COMPATIBLE = {"offsets-for-times-supported": True, "cluster-id-supported": True, "expect-record-too-large-exception": False,
              "num-cluster-nodes": 1, "create-topics-supported": True, "describe-acls-supported": True,
              "describe-configs-supported": True, "idempotent-producer-supported": True}


def wants(text, *parts):
    missing = [part for part in parts if part not in text]
    if missing:
        raise Failed("%r is not in\n%s" % (missing, text[-1500:]))


def compatibility(lane, topic, tries=3):
    """The tool gives up after 10 s of its own, which a busy machine may need to start its consumer: that is no answer."""
    words = [word for name, value in COMPATIBLE.items() for word in ("--" + name, str(value))]
    for attempt in range(tries):
        try:
            told = tool(lane, "ClientCompatibilityTest", "--topic", "%s-%d" % (topic, attempt), *words).decode()
            tool(lane, "TopicCommand", "--delete", "--topic", "newtopic")  # which it makes, and leaves
            return wants(told, "SUCCESS")
        except Failed as failure:
            if "Timed out after 10000 ms" not in str(failure) or attempt + 1 == tries:
                raise
            tool(lane, "TopicCommand", "--delete", "--if-exists", "--topic", "newtopic")


def latency(lane, topic, count=200):
    """Each record is read back before the next one is sent: the tool itself fails if it is not the one that it sent."""
    told = tool(lane, "EndToEndLatency", "--topic", topic, "--num-records", str(count), "--producer-acks", "all",
                "--record-size", "100").decode()
    found = re.search(r"50th = (\d+), 99th = (\d+)", told)
    if not found:
        raise Failed("no percentiles in\n" + told)
    # A broker that waits for some timer before it acknowledges or delivers would show it in each round.
    if lane.broker.name == "leatd" and int(found[1]) > 250:
        raise Failed("the median of a round is %s ms" % found[1])


def consumer_perf(lane, topic, count, group):
    told = tool(lane, "ConsumerPerformance", "--topic", topic, "--num-records", str(count), "--timeout", "60000", "--group", group,
                "--hide-header").decode()
    line = [part.strip() for part in told.strip().splitlines()[-1].split(",")]
    if len(line) < 10 or line[4] != str(count):
        raise Failed("%d records were due:\n%s" % (count, told))


def consumer_group(lane, group):
    return tool(lane, "consumer.group.ConsumerGroupCommand", "--describe", "--group", group).decode()


def run(lane, options):
    with lane.step("kafka-client-compatibility", "admin"):
        compatibility(lane, "t-compatible")
    with lane.step("kafka-e2e-latency", "read-back"):
        latency(lane, "t-latency")
    with lane.step("kafka-consumer-perf-test", "read-back"):
        check_perf(lane, "t-perf", 20000, lane.run(perf(lane, "t-perf", 20000, -1)))
        consumer_perf(lane, "t-perf", 20000, "t-perf-group")
        committed = [line.split() for line in consumer_group(lane, "t-perf-group").splitlines() if " t-perf " in line]
        if len(committed) != 1 or committed[0][3:6] != ["20000", "20000", "0"]:
            raise Failed("offset, end and lag of the group: %r" % committed)
    lane.kill_and_restart()
    with lane.step("kafka-client-compatibility", "go-on"):
        compatibility(lane, "t-compatible-again")
    with lane.step("kafka-e2e-latency", "go-on"):
        latency(lane, "t-latency")
    with lane.step("kafka-consumer-perf-test", "resume"):
        acked_of(lane.run(verifiable(lane, "t-perf", 500, -1)), 500)
        consumer_perf(lane, "t-perf", 500, "t-perf-group")  # where the group stands: 500, and no record of before
    with lane.step("kafka-consumer-perf-test", "go-on"):
        consumer_perf(lane, "t-perf", 20500, "t-perf-other")
