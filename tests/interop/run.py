"""Runs one lane of the interoperability tests: one broker, the clients of one maker.

    run.py LANE --work DIR [--target leatd|kafka] [--leatd PROGRAM] [--leat PROGRAM] [--rdkafka PROGRAM] [--results DIR]

Exit code 0 only if each step that the lane took is ok; what it had to take stands in matrix.txt (see matrix.py).
`--target kafka` runs the same lane against a real Kafka: so a failure can be told from a fault of the harness.
"""
import argparse
import json
import os
import shutil
import signal
import sys

import brokers
import lane as lanes
import lane_collectors
import lane_confluent
import lane_connect
import lane_consumer_protocol
import lane_consoles
import lane_differential
import lane_full_log
import lane_go
import lane_java
import lane_java_admin
import lane_java_groups
import lane_java_tools
import lane_kafkajs
import lane_kcat
import lane_leat_on_kafka
import lane_leat_on_leatd
import lane_librdkafka
import lane_mixed_groups
import lane_python
import lane_uplink_to_kafka

LANES = {"kcat": lane_kcat, "librdkafka": lane_librdkafka, "collectors": lane_collectors, "confluent": lane_confluent, "connect": lane_connect,
         "consumer_protocol": lane_consumer_protocol, "mixed_groups": lane_mixed_groups, "differential": lane_differential, "full_log": lane_full_log, "java": lane_java,
         "java_admin": lane_java_admin, "java_groups": lane_java_groups, "java_tools": lane_java_tools, "python": lane_python, "go": lane_go, "consoles": lane_consoles, "kafkajs": lane_kafkajs,
         "leat_on_leatd": lane_leat_on_leatd,
         "leat_on_kafka": lane_leat_on_kafka, "uplink_to_kafka": lane_uplink_to_kafka}


def settings(work, lane):
    """A configuration in which a new group does not wait three seconds for further members; kcat cannot ask for partitions."""
    path = os.path.join(work, "leatd.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"group.initial.rebalance.delay.ms": "0s", "group.consumer.heartbeat.interval.ms": "300ms",
                   "group.consumer.session.timeout.ms": "30s", "num.partitions": 4 if lane == "kcat" else 1, **getattr(LANES[lane], "LEATD", {})}, file)
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lane", choices=list(LANES))
    parser.add_argument("--work", required=True)
    parser.add_argument("--target", choices=["leatd", "kafka"], default="leatd")
    parser.add_argument("--leatd")
    parser.add_argument("--leat")
    parser.add_argument("--rdkafka")
    parser.add_argument("--results")
    options = parser.parse_args()
    options.work = os.path.join(os.path.abspath(options.work), options.lane)
    shutil.rmtree(options.work, ignore_errors=True)
    os.makedirs(options.work)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that `finally` runs

    module = LANES[options.lane]
    if getattr(module, "TARGET", options.target) == "kafka":
        broker = brokers.Kafka(os.path.join(options.work, "kafka"), ["num.partitions=4"] if options.lane == "kcat" else getattr(module, "SETTINGS", []))
    else:
        broker = brokers.Leatd(options.leatd, os.path.join(options.work, "leatd"), config=settings(options.work, options.lane))
    lane = lanes.Lane(options.lane, broker, options.work)
    results = options.results and os.path.join(options.results, options.lane + ".json")
    if results and os.path.exists(results):
        os.remove(results)
    try:
        broker.start()
        module.run(lane, options)
    finally:
        if lane.failed() or not lane.results:
            print("--- the end of the broker's log\n" + broker.tail())
        broker.stop()
    if options.results:
        lane.save(options.results)
    for client, step, text in lane.failed():
        print("FAILED %s %s: %s" % (client, step, text))
    print("%d steps, %d failed" % (len(lane.results), len(lane.failed())))
    if not lane.failed():
        shutil.rmtree(options.work, ignore_errors=True)
    return 1 if lane.failed() or not lane.results else 0


if __name__ == "__main__":
    sys.exit(main())
