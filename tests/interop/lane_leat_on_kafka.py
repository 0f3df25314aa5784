"""Our own client against a real Apache Kafka: the SDK, through its command line tool `leat`."""
import json
import os
import time

import leat_groups
from lane import CODECS, Failed, lines_of, text_records, want_equal
from lane_java import KAFKA_SH

TARGET = "kafka"
# Members of the consumer protocol hear of a rebalance with their next heartbeat.
SETTINGS = ["group.consumer.min.heartbeat.interval.ms=300", "group.consumer.heartbeat.interval.ms=300"]


def leat(lane, options, *words, feed=None):
    return lane.run([options.leat, "--bootstrap", lane.broker.bootstrap, *words], feed=feed)


def produce(lane, options, topic, records, *more):
    leat(lane, options, "produce", topic, "-K", "\\t", "-p", "0", *more, feed=lines_of(records))


def pairs(out):
    return [tuple(line.split(b"\t", 1)) for line in out.split(b"\n")[:-1]]


def consume(lane, options, topic, *more):
    return pairs(leat(lane, options, "consume", topic, "-K", "\\t", *more))


def by_kcat(lane, topic):
    """What Kafka holds, as another maker's client reads it."""
    return pairs(lane.run(["kcat", "-C", "-e", "-q", "-b", lane.broker.bootstrap, "-t", topic, "-p", "0", "-f", "%k\t%s\n"]))


def read_committed(lane, options):
    """Transactions of three Java producers across each other, two thirds of them committed."""
    program = os.path.join(os.path.dirname(KAFKA_SH), "Transactions.java")
    leat(lane, options, "topics", "create", "leat-transactions", "-p", "1")
    committed = lane.run(["sh", KAFKA_SH, "run", program, lane.broker.bootstrap, "leat-transactions"]).splitlines()

    def consume_values(*more):
        return leat(lane, options, "consume", "leat-transactions", *more).splitlines()

    everything = consume_values()
    aborted = [value for value in everything if value.startswith(b"aborted ")]
    if len(committed) < 200 or len(aborted) < 100:
        raise Failed("%d committed, %d aborted: not what Transactions.java writes" % (len(committed), len(aborted)))
    want_equal(committed, [value for value in everything if value not in aborted])
    want_equal(committed, consume_values("--read-committed"))
    # From the middle of transactions, in small answers.
    for offset in range(0, 400, 57):
        tail = consume_values("--read-committed", "-o", str(offset))
        want_equal(committed[len(committed) - len(tail):], tail)
        plain = consume_values("-o", str(offset))
        want_equal([value for value in plain if value.startswith(b"committed ")], tail)


def run(lane, options):
    wrote = {}
    with lane.step("leat", "topic"):
        leat(lane, options, "topics", "create", *["leat-" + codec for codec in CODECS], "leat-idempotent", "leat-killed",
             "leat-gone", "-p", "1")
        leat(lane, options, "topics", "delete", "leat-gone")
        time.sleep(0.5)
        listed = leat(lane, options, "topics", "list").split()
        if b"leat-none" not in listed or b"leat-gone" in listed:
            raise Failed("listed: %r" % listed)
        described = json.loads(leat(lane, options, "--json", "topics", "describe", "leat-none"))
        if not described:
            raise Failed("describe --json says nothing")
    for seed, codec in enumerate(CODECS):
        with lane.step("leat", codec):
            wrote["leat-" + codec] = text_records(seed, 400)
            produce(lane, options, "leat-" + codec, wrote["leat-" + codec], "-z", codec, "--no-idempotence")
    with lane.step("leat", "idempotent"):
        wrote["leat-idempotent"] = text_records(20, 2000)
        produce(lane, options, "leat-idempotent", wrote["leat-idempotent"], "--batch-bytes", "4096")
        want_equal(wrote["leat-idempotent"], consume(lane, options, "leat-idempotent"))
    with lane.step("leat", "read-back"):
        for topic, records in wrote.items():
            want_equal(records, consume(lane, options, topic))
            want_equal(records, by_kcat(lane, topic))
        read_committed(lane, options)
        want_equal(wrote["leat-gzip"][-30:], consume(lane, options, "leat-gzip", "-o", "-30"))
        want_equal(wrote["leat-gzip"][7:12], consume(lane, options, "leat-gzip", "-o", "7", "-n", "5"))
    with lane.step("leat", "sigkill"):
        records = text_records(30, 4000)
        process = lane.spawn([options.leat, "--bootstrap", lane.broker.bootstrap, "produce", "leat-killed", "-K", "\\t", "-p", "0",
                              "--batch-bytes", "2048"])
        for first in range(0, len(records), 400):
            process.stdin.write(lines_of(records[first:first + 400]))
            process.stdin.flush()
            time.sleep(0.05)
            if first == 1600:
                lane.kill_and_restart()
        lane.finish(process)
        wrote["leat-killed"] = records
        want_equal(records, consume(lane, options, "leat-killed"))
    with lane.step("leat", "go-on"):
        more = text_records(40, 300)
        produce(lane, options, "leat-zstd", more, "-z", "zstd")
        wrote["leat-zstd"] += more
        for topic, records in wrote.items():
            want_equal(records, consume(lane, options, topic))
            want_equal(records, by_kcat(lane, topic))
    leat_groups.run(lane, options, "leat")
    leat_groups.run_848(lane, options, "leat-848")
