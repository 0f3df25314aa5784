"""franz-go and sarama: go/, which fetch.sh builds beside the Python of the tests' virtual environment."""
import os
import sys


def run(lane, options):
    program = os.path.join(os.path.dirname(os.environ.get("LEAT_PYTHON", sys.executable)), "go_clients")
    for name in ("franz-go", "sarama"):
        lane.converse(name, [program, name, lane.broker.bootstrap])
