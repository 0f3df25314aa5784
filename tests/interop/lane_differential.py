"""The same requests to leatd and to a real Kafka 4.3.1, through Kafka's own encoder and decoder: no client may tell them
apart by error codes, fields, what is there afterwards, or how long it takes.

`differential/` has the cases. What they do not ask, or leave out of an answer, is where leatd differs for a reason: texts
of errors, Kafka's own mistakes (UNKNOWN_SERVER_ERROR), what belongs to transactions, share groups or several nodes.
"""
import concurrent.futures
import os
import time
import traceback

import brokers
from differential import admin, consumer, data, groups, peer, times
from lane import Failed

LEATD = {"group.min.session.timeout.ms": "1s", "node.id": 1}
KAFKA = ["group.min.session.timeout.ms=1000", "group.consumer.heartbeat.interval.ms=300", "group.consumer.min.heartbeat.interval.ms=300",
         "group.consumer.session.timeout.ms=30000", "group.consumer.min.session.timeout.ms=1000", "group.consumer.migration.policy=bidirectional",
         # as leatd: an assignment is made when it is asked for, not beside the group and a second later
         "group.consumer.min.assignment.interval.ms=0", "group.consumer.assignment.interval.ms=0", "group.consumer.assignor.offload.enable=false"]
STEPS = {"group": [groups, consumer, times], "admin": [admin], "read-back": [data]}


def run_case(codec, broker, module, case):
    name = "%s-%s" % (module.__name__.rsplit(".", 1)[1], case.__name__.replace("_", "-"))
    side = peer.Side(codec, broker, name)
    try:
        case(side)
    except Exception:
        side.seen.append(("it goes on", traceback.format_exc(limit=-3)[-600:]))
    finally:
        side.close()
    return side.seen


def compare(case, kafka, leatd):
    lines = ["%s: %s" % (case, text) for what, text in kafka if what == "it goes on"]
    for (what, one), (other_what, other) in zip(kafka, leatd):
        if what != other_what:
            lines.append("%s: Kafka %s, leatd %s %s" % (case, what, other_what, other))
            break
        lines += ["%s: %s%s" % (case, what, line) for line in peer.differences(one, other)]
    if len(kafka) != len(leatd):
        lines.append("%s: %d answers of Kafka, %d of leatd" % (case, len(kafka), len(leatd)))
    return lines


def wait_for_groups(codec, broker):
    """Kafka makes its topic of positions when a group is asked for, and ids of producers a moment after its start."""
    side = peer.Side(codec, broker, "wait")
    for group in ["wait-%d" % i for i in range(16)]:
        while side.ask(10, 4, keyType=0, coordinatorKeys=[group])["coordinators"][0]["errorCode"] or \
                side.ask(12, 4, groupId=group, memberId="", generationId=0)["errorCode"] != 25:
            time.sleep(0.1)
    while side.ask(22, 0, transactionalId=None, transactionTimeoutMs=1000)["errorCode"]:
        time.sleep(0.1)
    side.close()


def run(lane, options):
    kafka = brokers.Kafka(os.path.join(options.work, "kafka"), KAFKA)
    os.environ.setdefault("LEAT_KAFKA_TIER", "1")  # half a minute is too short for the second compiler
    seen, codec, both = 0, None, concurrent.futures.ThreadPoolExecutor(2)
    try:
        kafka.start()
        codec, sides = peer.Codec(), (kafka, lane.broker)
        list(both.map(lambda broker: wait_for_groups(codec, broker), sides))
        for step, modules in STEPS.items():
            with lane.step("differential", step):
                lines = []
                for module in modules:
                    for case in module.CASES:
                        began = time.monotonic()
                        answers = list(both.map(lambda broker: run_case(codec, broker, module, case), sides))
                        seen += len(answers[0])
                        lines += compare("%s.%s" % (module.__name__, case.__name__), *answers)
                        print("          %s.%s: %d answers, %.1f s" % (module.__name__, case.__name__, len(answers[0]), time.monotonic() - began), flush=True)
                print("\n".join(lines))
                if lines:
                    raise Failed("%d differences" % len(lines))
        print("          %d answers compared" % seen)
    finally:
        if codec:
            codec.close()
        kafka.stop()
