"""leatd's uplink into a real Apache Kafka: what leatd acknowledged arrives there, through kills of either side."""
import json
import os
import subprocess
import time

from brokers import Leatd
from forgotten import forgotten
from lane import CODECS, Failed, lines_of, ordered_unique, text_records
from lane_java import KAFKA_SH

TARGET = "kafka"


def upstream(lane, topic):
    try:
        out = lane.run(["kcat", "-C", "-e", "-q", "-b", lane.broker.bootstrap, "-t", topic, "-p", "0", "-f", "%k\t%s\n"])
    except Failed:  # the topic is not there yet
        return []
    return [tuple(line.split(b"\t", 1)) for line in out.split(b"\n")[:-1]]


def first_arrivals(records):
    """Uplink is at least once: a record that came twice counts where it came first."""
    return list(dict.fromkeys(records))


def await_upstream(lane, topic, want, exact, seconds=60):
    end = time.monotonic() + seconds
    while True:
        have = upstream(lane, topic)
        text = ordered_unique(want, have if exact else first_arrivals(have))
        if text is None:
            return len(have) - len(want)
        if time.monotonic() > end:
            raise Failed("%s after %d s: %s" % (topic, seconds, text))
        time.sleep(0.3)


def run(lane, options):
    config = os.path.join(lane.work, "leatd.json")
    with open(config, "w", encoding="utf-8") as file:
        json.dump({"routes": [{"bootstrap.servers": lane.broker.bootstrap, "topics": ["up-*"], "create.topics": True,
                               "retry.backoff.max.ms": "1s"}]}, file)
    gateway = Leatd(options.leatd, os.path.join(lane.work, "gateway"), config=config)
    gateway.start()
    try:
        steps(lane, gateway)
    finally:
        if lane.failed():
            print("--- the end of the gateway's log\n" + gateway.tail())
        gateway.stop()
    forgotten(lane, options, upstream)


def produce(lane, gateway, topic, records, *more):
    lane.run(["kcat", "-P", "-E", "-b", gateway.bootstrap, "-t", topic, "-p", "0", "-K", "\t", "-X",
              "message.timeout.ms=120000", "-X", "reconnect.backoff.max.ms=500", *more], feed=lines_of(records))


def steps(lane, gateway):
    wrote = {}
    with lane.step("uplink", "topic"):  # the route may create: the topic comes into being upstream
        wrote["up-none"] = text_records(1, 10)
        produce(lane, gateway, "up-none", wrote["up-none"])
        await_upstream(lane, "up-none", wrote["up-none"], exact=True)
    for seed, codec in enumerate(CODECS):
        with lane.step("uplink", codec):
            topic, records = "up-" + codec, text_records(seed + 2, 400)
            produce(lane, gateway, topic, records, "-z", codec)
            wrote[topic] = wrote.get(topic, []) + records
            await_upstream(lane, topic, wrote[topic], exact=True)
    with lane.step("uplink", "idempotent"):
        wrote["up-idempotent"] = text_records(20, 2000)
        produce(lane, gateway, "up-idempotent", wrote["up-idempotent"], "-X", "enable.idempotence=true",
                "-X", "batch.num.messages=50")
        await_upstream(lane, "up-idempotent", wrote["up-idempotent"], exact=True)
    with lane.step("uplink", "admin"):  # a topic that takes less than a batch of the gateway: it goes in parts
        wrote["up-small"] = text_records(25, 1)
        produce(lane, gateway, "up-small", wrote["up-small"])
        await_upstream(lane, "up-small", wrote["up-small"], exact=True)
        lane.run(["sh", KAFKA_SH, "run", "kafka.admin.ConfigCommand", "--bootstrap-server", lane.broker.bootstrap,
                  "--entity-type", "topics", "--entity-name", "up-small", "--alter",
                  "--add-config", "max.message.bytes=2500"])
        for seed, codec in enumerate(["none", "lz4"]):
            records = text_records(26 + seed, 1500)
            produce(lane, gateway, "up-small", records, "-z", codec, "-X", "linger.ms=500", "-X", "enable.idempotence=true")
            wrote["up-small"] += records
            await_upstream(lane, "up-small", wrote["up-small"], exact=True)
        if "it goes again in smaller ones" not in gateway.tail():
            raise Failed("no batch was larger than what the topic takes")
    with lane.step("uplink", "read-back"):
        for topic, records in wrote.items():
            await_upstream(lane, topic, records, exact=True)
    with lane.step("uplink", "sigkill"):  # the gateway dies with records on its way up
        records = text_records(30, 4000)
        process = lane.spawn(["kcat", "-P", "-E", "-b", gateway.bootstrap, "-t", "up-killed", "-p", "0", "-K", "\t",
                              "-X", "enable.idempotence=true", "-X", "batch.num.messages=20", "-X", "linger.ms=2",
                              "-X", "reconnect.backoff.max.ms=500"], stdout=subprocess.DEVNULL)
        for first in range(0, len(records), 400):
            process.stdin.write(lines_of(records[first:first + 400]))
            process.stdin.flush()
            time.sleep(0.05)
            if first == 1600:
                gateway.kill()
                time.sleep(0.5)
                gateway.again()
        lane.finish(process)
        wrote["up-killed"] = records
        twice = await_upstream(lane, "up-killed", records, exact=False)
        print("          %d records arrived twice" % twice)
    with lane.step("uplink", "go-on"):  # the center dies, the gateway collects, the center comes back
        lane.broker.kill()
        more = text_records(40, 1000)
        produce(lane, gateway, "up-zstd", more, "-z", "zstd")
        wrote["up-zstd"] += more
        lane.broker.again()
        for topic, records in wrote.items():
            await_upstream(lane, topic, records, exact=False, seconds=90)
