"""SIGKILL after SIGKILL under load: an idempotent producer sends on while leatd is killed and started again.

    kills.py --leatd PROGRAM --work DIR [--kills N] [--seed S]

At the end each record that was acknowledged is read back once and in order, and each that was sent is there: the producer
never gives up. Runs in the Python that has confluent-kafka.
"""
import argparse
import os
import random
import shutil
import signal
import sys
import threading
import time

from confluent_kafka import Producer

import brokers
from read_all import read_all

TOPIC, PARTITIONS = "killed", 3


class Load:
    """Sends numbered records to all partitions until told to stop."""

    def __init__(self, bootstrap):
        self.acked = [[] for _ in range(PARTITIONS)]
        self.sent = [0] * PARTITIONS
        self.failures = []
        self.running = True
        self.producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 2,
                                  "message.timeout.ms": 0, "batch.num.messages": 50, "reconnect.backoff.ms": 10,
                                  "reconnect.backoff.max.ms": 100, "retry.backoff.ms": 20, "socket.timeout.ms": 10000, "log_level": 0,
                                  # With the default, a broker that is gone twice a second makes it start over for ever.
                                  "metadata.recovery.strategy": "none"})
        self.thread = threading.Thread(target=self._send)
        self.thread.start()

    def _send(self):
        while self.running:
            if len(self.producer) > 3000:  # the broker is away: collect some, not everything
                self.producer.poll(0.02)
                continue
            for partition in range(PARTITIONS):
                number = self.sent[partition]
                self.sent[partition] += 1
                self.producer.produce(TOPIC, b"%d|" % number + b"x" * (number * 37 % 600), partition=partition,
                                      on_delivery=self._delivered)
            self.producer.poll(0.001)

    def _delivered(self, error, message):
        if error:
            self.failures.append(str(error))
        else:
            self.acked[message.partition()].append((message.offset(), int(message.value().split(b"|", 1)[0])))

    def stop(self):
        self.running = False
        self.thread.join()
        return self.producer.flush(60)


def numbers(bootstrap, partition):
    """[(offset, number)] of all records, each of which holds what was sent under that number."""
    have = []
    for offset, value in read_all(bootstrap, TOPIC, partition)[2]:
        number, padding = value.split(b"|", 1)
        if padding != b"x" * (int(number) * 37 % 600):
            raise SystemExit("partition %d offset %d: the value is not what was sent" % (partition, offset))
        have.append((offset, int(number)))
    return have


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leatd", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options = parser.parse_args()
    print("SEED=%d" % options.seed, flush=True)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(1))
    random_pauses = random.Random(options.seed)
    work = os.path.join(os.path.abspath(options.work), "kills")
    shutil.rmtree(work, ignore_errors=True)
    config = os.path.join(work, "leatd.json")
    os.makedirs(work)
    with open(config, "w", encoding="utf-8") as file:
        file.write('{"num.partitions": %d}' % PARTITIONS)
    # A full log would refuse what this wants to see acknowledged: 1,000 kills fill about 260 MB.
    broker = brokers.Leatd(options.leatd, os.path.join(work, "leatd"), config=config, budget="%dMiB" % (256 + options.kills))
    broker.start()
    load = Load(broker.bootstrap)
    slowest, before, idle = 0.0, 0, 0
    try:
        for kill in range(options.kills):
            time.sleep(random_pauses.choice([0.02, 0.1, 0.2, 0.4]) * random_pauses.random() + 0.05)
            broker.kill()
            begin = time.monotonic()
            broker.again()
            slowest = max(slowest, time.monotonic() - begin)
            if (kill + 1) % 50 == 0:
                acked = sum(map(len, load.acked))
                print("%d kills, %d acknowledged" % (kill + 1, acked), flush=True)
                idle += acked == before
                before = acked
        left = load.stop()
        problems = list(load.failures[:3])
        if left:
            problems.append("%d records never acknowledged" % left)
        for partition in range(PARTITIONS):
            have = numbers(broker.bootstrap, partition)
            if have != [(i, i) for i in range(load.sent[partition])]:
                wrong = next((r for i, r in enumerate(have) if r != (i, i)), "the end")
                problems.append("partition %d: %d sent, %d read, the first wrong one: %s" % (
                    partition, load.sent[partition], len(have), wrong))
            if sorted(load.acked[partition]) != [(i, i) for i in range(load.sent[partition])]:
                problems.append("partition %d: acknowledged offsets are not those of the records" % partition)
        if idle > options.kills // 200:
            problems.append("nothing was acknowledged during %d times 50 kills: this proves little" % idle)
        if sum(map(len, load.acked)) < options.kills * 10:
            problems.append("only %d records acknowledged: this proves little" % sum(map(len, load.acked)))
    except BaseException:
        load.running = False
        print(broker.tail())
        raise
    for problem in problems:
        print("FAILED", problem)
    print("%d kills, %d records acknowledged, slowest start %.0f ms, %d problems" % (
        options.kills, sum(map(len, load.acked)), slowest * 1e3, len(problems)), flush=True)
    if problems:
        print(broker.tail())
    broker.stop()
    if not problems:
        shutil.rmtree(work, ignore_errors=True)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
