"""kafka-python and aiokafka from PyPI, in the tests' virtual environment."""
import os
import sys


def run(lane, options):
    python = os.environ.get("LEAT_PYTHON", sys.executable)
    here = os.path.dirname(os.path.abspath(__file__))
    for name in ("kafka-python", "aiokafka"):
        lane.converse(name, [python, os.path.join(here, name.replace("-", "_") + "_client.py"), lane.broker.bootstrap])
