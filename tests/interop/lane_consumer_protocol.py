"""Groups of the consumer protocol (KIP-848): Kafka's Java consumer 4.3.1, the newest librdkafka, and what Kafka's tools show."""
import os
import sys

from lane import Failed
from lane_java_groups import Member, groups, owns, send, until, verifiable_consumer, wants
from lane_java import make_topic


def tools(lane):
    with lane.step("kafka-consumer-groups-848", "admin"):
        make_topic(lane, "g-tools", 4)
        send(lane, "g-tools", 20)
        member = Member(lane, "consumer", "g-tools", "g-tools")
        until(lambda: owns(member) and sum(member.committed.get(p) == 20 for p in range(4)) == 4, "commit of all", 60)
        wants(groups(lane, "--list", "--type"), "g-tools", "Consumer")
        wants(groups(lane, "--list", "--state", "--type", "consumer"), "g-tools", "Stable")
        wants(groups(lane, "--describe", "--group", "g-tools", "--state", "--verbose"), "Stable", "uniform")
        members = groups(lane, "--describe", "--group", "g-tools", "--members", "--verbose")
        wants(members, "g-tools", "0,1,2,3", "CURRENT-EPOCH", "TARGET-EPOCH")
        lag = [line.split() for line in groups(lane, "--describe", "--group", "g-tools").splitlines() if " g-tools " in line]
        if len(lag) != 4 or any(line[3:6] != ["20", "20", "0"] for line in lag):
            raise Failed("offset, end and lag: %r" % lag)
        member.end()
        wants(groups(lane, "--list", "--state", "--type", "consumer"), "g-tools", "Empty")
        words = ["--group", "g-tools", "--topic", "g-tools"]
        wants(groups(lane, "--reset-offsets", *words, "--to-offset", "5", "--execute"), "5")
        wants(groups(lane, "--delete", "--group", "g-tools"), "successful")
        if "g-tools" in groups(lane, "--list"):
            raise Failed("a deleted group is still listed")


def run(lane, options):
    python = os.environ.get("LEAT_PYTHON", sys.executable)
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "confluent_client.py")
    lane.converse("confluent-kafka-848", [python, script, lane.broker.bootstrap, "consumer"])
    verifiable_consumer(lane, "kafka-consumer-848", "consumer")
    tools(lane)
