"""KafkaJS: js/client.js, with the Node.js and the packages that fetch.sh puts beside the tests' virtual environment."""
import os
import sys


def run(lane, options):
    venv = os.path.dirname(os.path.dirname(os.environ.get("LEAT_PYTHON", sys.executable)))
    # The client lies beside its packages: Node.js looks for them from where the script is.
    lane.converse("kafkajs", [os.path.join(venv, "js", "node"), os.path.join(venv, "js", "client.js"), lane.broker.bootstrap])
