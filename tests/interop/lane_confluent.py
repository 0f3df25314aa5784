"""confluent-kafka from PyPI with the newest librdkafka inside: confluent_client.py in the tests' virtual environment."""
import os
import sys


def run(lane, options):
    python = os.environ.get("LEAT_PYTHON", sys.executable)
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "confluent_client.py")
    lane.converse("confluent-kafka", [python, script, lane.broker.bootstrap])
