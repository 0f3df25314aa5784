"""A real Kafka that has forgotten the uplink's producer while its answers were lost: it takes what it has once more.

Kafka drops a producer a day after the time stamp of its last record; here the records are three days old and it looks
five times a second. What is in doubt after lost answers has to be looked for upstream: with numbers alone all of it comes twice.
"""
import json
import os
import sys
import time

from brokers import Leatd
from lane import Failed, ordered_unique
from proxy import Proxy

TOPIC, SECONDS_MAX = "forgotten", 30
FORGETS = ["producer.id.expiration.check.interval.ms=200"]


class Stamped:
    """stamped_producer.py, and what it has sent."""

    def __init__(self, lane):
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "stamped_producer.py")
        self.process = lane.spawn([os.environ.get("LEAT_PYTHON", sys.executable), script])
        self.count = 0
        self.stamp = int((time.time() - 3 * 86400) * 1000)

    def send(self, gateway, count):
        self.process.stdin.write(b"%s %s %d %d %d\n" % (gateway.bootstrap.encode(), TOPIC.encode(), self.count, count, self.stamp))
        self.process.stdin.flush()
        told = self.process.stdout.readline().decode().strip()
        if told != "ok":
            raise Failed("the gateway does not take what is produced: " + told)
        self.count += count

    def all(self):
        return [b"%d" % number for number in range(self.count)]


def rounds(lane, gateway, proxy, upstream, sent):
    """`upstream()` is all that Kafka has."""
    def wait(done, what):
        end = time.monotonic() + SECONDS_MAX
        while not done(have := upstream()):
            if time.monotonic() > end:
                raise Failed("%s: %s" % (what, ordered_unique(sent.all(), have)))
            time.sleep(0.1)

    sent.send(gateway, 20)
    wait(lambda have: have == sent.all(), "before anything is lost")
    for dies in (False, True):
        for taken, waiting in ((1, 0), (30, 0), (30, 20)):
            proxy.loses_answers = True
            sent.send(gateway, taken)
            wait(lambda have: len(set(have)) > sent.count - taken, "with lost answers")
            time.sleep(0.2)  # the others of the five batches in flight
            proxy.cut()
            if waiting:
                sent.send(gateway, waiting)
            time.sleep(0.6)  # Kafka forgets
            if dies:
                gateway.kill()
                gateway.again()
            proxy.mend()
            sent.send(gateway, 1)  # what arrives tells that the gateway is through with what was before
            wait(lambda have: have[-1:] == sent.all()[-1:], "after lost answers")
            text = ordered_unique(sent.all(), upstream())
            if text:
                raise Failed("%d answers lost, %d records behind them%s: %s" % (
                    taken, waiting, ", the gateway killed" if dies else "", text))


def forgotten(lane, options, upstream):
    """Kafka is started with a second listener, whose clients it sends through a proxy."""
    with lane.step("uplink", "forgotten"):
        proxy = Proxy()
        lane.broker.kill()
        proxy.to = lane.broker.listen_behind(proxy.port, FORGETS)
        lane.broker.again()
        config = os.path.join(lane.work, "forgotten.json")
        with open(config, "w", encoding="utf-8") as file:
            json.dump({"routes": [{"bootstrap.servers": "127.0.0.1:%d" % proxy.port, "topics": [TOPIC], "create.topics": True,
                                   "retry.backoff.max.ms": "500ms", "request.timeout.ms": "2s"}]}, file)
        gateway = Leatd(options.leatd, os.path.join(lane.work, "forgotten"), config=config).start()
        sent = Stamped(lane)
        try:
            rounds(lane, gateway, proxy, lambda: [value for _, value in upstream(lane, TOPIC)], sent)
        finally:
            sent.process.kill()
            gateway.stop()
