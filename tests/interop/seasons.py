"""Many lives of one small log: topics of every kind, random work, SIGKILL or SIGTERM, and a model that knows what must be there.

    seasons.py --leatd PROGRAM --work DIR [--rounds N] [--seed S]

After every start each partition is read whole and held against the model: no acknowledged record above the log start is
missing, none is there that nobody sent, offsets never go back, and the log start moved only as far as the topic's own rules
allow (retention by bytes and by age, DeleteRecords, drop-oldest, deletion). Runs in the Python that has confluent-kafka.
"""
import argparse
import json
import os
import random
import shutil
import signal
import sys
import time
import urllib.request

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

import brokers
from read_all import read_all

SEGMENT = 64 << 10
KEEP_BYTES = 512 << 10
KEEP_MS = 4000
PARTITIONS = 2
KINDS = {
    "kept": {},
    "by-bytes": {"retention.bytes": KEEP_BYTES},
    "by-age": {"retention.ms": KEEP_MS},
    "oldest-go": {"leat.full.policy": "drop-oldest", "leat.priority": 2},
    "cut": {},       # DeleteRecords
    "reborn": {},    # deleted and created again
}
REFUSING = ("kept", "cut", "reborn")
PATIENCE = 60


class Model:
    """What was sent to one partition, by number; and what came of it."""

    def __init__(self):
        self.sent = {}      # number -> (value, time)
        self.acked = {}     # offset -> number
        self.start = self.end = 0
        self.deleted_to = 0


class Season:
    def __init__(self, options):
        self.random = random.Random(options.seed)
        self.work = os.path.join(os.path.abspath(options.work), "seasons")
        shutil.rmtree(self.work, ignore_errors=True)
        os.makedirs(self.work)
        config = os.path.join(self.work, "leatd.json")
        with open(config, "w", encoding="utf-8") as file:
            json.dump({"log.segment.bytes": SEGMENT, "message.max.bytes": 16 << 10, "auto.create.topics.enable": False}, file)
        self.http = brokers.free_ports(1)[0]
        self.broker = brokers.Leatd(options.leatd, os.path.join(self.work, "leatd"), config=config, budget="8MiB",
                                    flags=["--http", "127.0.0.1:%d" % self.http])
        self.models, self.problems, self.number, self.generation, self.read = {}, [], 0, 0, 0
        self.names = {}

    def connect(self):
        common = {"bootstrap.servers": self.broker.bootstrap, "log_level": 0, "metadata.recovery.strategy": "none",
                  "reconnect.backoff.max.ms": 200}
        self.admin = AdminClient(common)
        self.producer = Producer({**common, "enable.idempotence": True, "linger.ms": 1, "batch.size": 15000,
                                  "message.timeout.ms": 3000, "retry.backoff.ms": 20})

    def create(self, kind):
        self.generation += 1
        self.names[kind] = name = "%s-%d" % (kind, self.generation)
        settings = {"leat.full.policy": "reject", **KINDS[kind]}
        topic = NewTopic(name, PARTITIONS, 1, config={key: str(value) for key, value in settings.items()})
        until = time.monotonic() + PATIENCE
        while True:
            try:
                for future in self.admin.create_topics([topic]).values():
                    future.result(PATIENCE)
                break
            except KafkaException as error:  # the broker waits for room, but not for ever
                if error.args[0].code() != KafkaError.REQUEST_TIMED_OUT or "full now" not in error.args[0].str() or time.monotonic() > until:
                    raise
        for partition in range(PARTITIONS):
            self.models[kind, partition] = Model()

    # -- work ------------------------------------------------------------------------------------------------------

    def produce(self):
        kind = self.random.choice(list(KINDS))
        if kind in REFUSING and sum(len(self.models[kind, p].acked) for p in range(PARTITIONS)) > 1500:
            return  # these never go away, so their share is bounded
        partition = self.random.randrange(PARTITIONS)
        model = self.models[kind, partition]
        size = self.random.choice([10, 200, 1000, 6000]) if kind not in REFUSING else self.random.choice([10, 100])
        for _ in range(self.random.choice([1, 5, 60])):
            number, self.number = self.number, self.number + 1
            value = b"%d|" % number + b"%d" % (number % 10) * self.random.randrange(size)
            model.sent[number] = (value, time.monotonic())

            def done(error, message, number=number, model=model):
                if error is None:
                    model.acked[message.offset()] = number
            self.producer.produce(self.names[kind], value, partition=partition, on_delivery=done)
        self.producer.poll(0)

    def delete_records(self):
        self.producer.flush(PATIENCE)
        partition = self.random.randrange(PARTITIONS)
        model = self.models["cut", partition]
        if not model.acked:
            return
        to = self.random.randint(model.deleted_to, max(model.acked) + 1)
        wanted = TopicPartition(self.names["cut"], partition, to)
        for future in self.admin.delete_records([wanted]).values():
            future.result(PATIENCE)
        model.deleted_to = max(model.deleted_to, to)

    def rebirth(self):
        self.producer.flush(PATIENCE)
        for future in self.admin.delete_topics([self.names["reborn"]]).values():
            future.result(PATIENCE)
        self.create("reborn")

    def step(self):
        chance = self.random.random()
        if chance < 0.9:
            self.produce()
        elif chance < 0.95:
            self.delete_records()
        elif chance < 0.96:
            self.rebirth()
        elif chance < 0.98:
            self.producer.flush(PATIENCE)
        else:
            time.sleep(self.random.random() * 0.3)

    # -- what must hold --------------------------------------------------------------------------------------------

    def wrong(self, where, text):
        self.problems.append("%s: %s" % (where, text))

    def check(self, kind, partition):
        model, where = self.models[kind, partition], "%s %d" % (self.names[kind], partition)
        start, end, records = read_all(self.broker.bootstrap, self.names[kind], partition)
        after = time.monotonic()
        self.read += len(records)
        if start < model.start or end < model.end:
            self.wrong(where, "was [%d, %d), is [%d, %d)" % (model.start, model.end, start, end))
        if model.acked and end <= max(model.acked):
            self.wrong(where, "acknowledged up to %d, ends at %d" % (max(model.acked), end))
        first = records[0][0] if records else end  # retention may have gone on since `start` was asked
        if [offset for offset, _ in records] != list(range(first, end)) or first < start:
            self.wrong(where, "[%d, %d) has gaps or a wrong begin: %d records from %d" % (start, end, len(records), first))
        for offset, value in records:
            number = int(value.split(b"|", 1)[0])
            if number not in model.sent or model.sent[number][0] != value:
                self.wrong(where, "offset %d holds what nobody sent" % offset)
            elif model.acked.get(offset, number) != number:
                self.wrong(where, "offset %d was acknowledged as %d, holds %d" % (offset, model.acked[offset], number))
        if len({value for _, value in records}) != len(records):
            self.wrong(where, "a record is there twice")
        kept = sum(len(value) for _, value in records)
        if kind in ("kept", "reborn") and first != 0:
            self.wrong(where, "nothing may go, and %d went" % first)
        if kind == "cut" and first != model.deleted_to:
            self.wrong(where, "deleted up to %d, starts at %d" % (model.deleted_to, first))
        if kind == "by-bytes" and first > 0 and kept < KEEP_BYTES - 3 * SEGMENT:
            self.wrong(where, "only %d bytes are left of %d to be kept" % (kept, KEEP_BYTES))
        if kind == "by-age" and first > 0:
            young = [offset for offset, number in model.acked.items()
                     if offset < first and after - model.sent[number][1] < KEEP_MS / 1000 - 0.1]
            if young:
                self.wrong(where, "%d records younger than %d ms went, the first at %d" % (len(young), KEEP_MS, min(young)))
        model.start, model.end = max(start, first), end

    def check_books(self):
        with urllib.request.urlopen("http://127.0.0.1:%d/status" % self.http, timeout=PATIENCE) as answer:
            status = json.load(answer)
        for topic in status["topics"]:
            for partition in topic["partitions"]:
                if not partition["books"]["balanced"]:
                    self.wrong("%s %d" % (topic["name"], partition["partition"]), "the books do not add up: %r" % partition)
        allowed = (self.names["oldest-go"], self.names["by-age"], self.names["by-bytes"])
        for topic in status["topics"]:
            lost = sum(partition["books"]["lost"] for partition in topic["partitions"])
            if lost and topic["name"] not in allowed:
                self.wrong(topic["name"], "%d records are booked as lost" % lost)
            if lost and topic["name"] != self.names["oldest-go"]:
                self.wrong(topic["name"], "retention is no loss, and %d are booked so" % lost)

    def check_all(self):
        for kind in KINDS:
            for partition in range(PARTITIONS):
                self.check(kind, partition)
        self.check_books()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leatd", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options = parser.parse_args()
    print("SEED=%d" % options.seed, flush=True)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(1))
    season = Season(options)
    season.broker.start()
    try:
        season.connect()
        for kind in KINDS:
            season.create(kind)
        for round_ in range(options.rounds):
            for _ in range(season.random.randrange(40, 200)):
                season.step()
            if season.random.random() < 0.3:
                season.producer.flush(PATIENCE)
            if season.random.random() < 0.7:
                season.broker.kill()
            else:
                season.broker.stop()
                if season.broker.process.returncode != 0:
                    season.wrong("SIGTERM", "left with %s" % season.broker.process.returncode)
            season.broker.again()
            season.producer.flush(PATIENCE)  # what was under way arrives now, or its time is over
            season.check_all()
            if season.problems:
                break
        acked = sum(len(model.acked) for model in season.models.values())
        if not season.problems and acked < options.rounds * 50:
            season.problems.append("only %d records acknowledged: this proves little" % acked)
        print("%d rounds, %d records sent, %d read back, %d problems" % (round_ + 1, season.number, season.read, len(season.problems)))
    finally:
        season.broker.stop()
    for problem in season.problems[:20]:
        print("FAILED", problem)
    if season.problems:
        print(season.broker.tail())
        return 1
    shutil.rmtree(season.work, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
