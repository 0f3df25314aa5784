"""Groups with members of both protocols (KIP-848, group.consumer.migration.policy=bidirectional), by the newest librdkafka."""
import os
import sys

SETTINGS = ["group.consumer.migration.policy=bidirectional", "group.consumer.min.heartbeat.interval.ms=300",
            "group.consumer.heartbeat.interval.ms=300"]


def run(lane, options):
    python = os.environ.get("LEAT_PYTHON", sys.executable)
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "mixed_client.py")
    lane.converse("confluent-kafka-mixed", [python, script, lane.broker.bootstrap])
