"""kafka-python and aiokafka from PyPI, in the tests' virtual environment."""
import os
import sys


def run(lane, options):
    python = os.environ.get("LEAT_PYTHON", sys.executable)
    here = os.path.dirname(os.path.abspath(__file__))
    for name, script in (("kafka-python", "kafka_python_client.py"), ("aiokafka", "aiokafka_client.py")):
        lane.converse(name, [python, os.path.join(here, script), lane.broker.bootstrap])
