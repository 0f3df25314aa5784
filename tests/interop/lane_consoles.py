"""What Redpanda Console and kafka-ui ask at their start and for their pages: go/consoles.go."""
import os
import sys


def run(lane, options):
    program = os.path.join(os.path.dirname(os.environ.get("LEAT_PYTHON", sys.executable)), "go_clients")
    for name in ("redpanda-console", "kafka-ui"):
        lane.converse(name, [program, name, lane.broker.bootstrap])
