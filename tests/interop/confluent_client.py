"""The steps of the interoperability matrix, by confluent-kafka; talks to lane.py's `converse`.

    confluent_client.py BOOTSTRAP
"""
import collections
import sys
import time
import traceback

import confluent_kafka
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from lane import CODECS, ordered_unique, text_records

SECONDS_MAX = 120
bootstrap = sys.argv[1]
wrote = collections.defaultdict(list)


def step(name, action):
    try:
        action()
        print("step", name, "ok", flush=True)
    except Exception as error:  # each step gives a result, whatever happens
        traceback.print_exc()
        print("step", name, ("%s: %s" % (type(error).__name__, error)).replace("\n", " "), flush=True)


def producer(**more):
    return Producer({"bootstrap.servers": bootstrap, "acks": "all", "reconnect.backoff.max.ms": 500,
                     "message.timeout.ms": SECONDS_MAX * 1000, **{k.replace("_", "."): v for k, v in more.items()}})


def send(client, topic, records, at_half=None):
    failures, delivered = [], []

    def on_delivery(error, message):
        (failures if error else delivered).append(error or message.offset())

    for i, (key, value) in enumerate(records):
        client.produce(topic, key=key, value=value, partition=0, headers=[("n", b"%d" % i)], on_delivery=on_delivery)
        client.poll(0)
        if at_half and i == len(records) // 2:
            while len(delivered) < len(records) // 4:  # some acknowledged, some in flight
                client.poll(0.01)
            at_half()
    left = client.flush(SECONDS_MAX)
    if failures or left or len(delivered) != len(records):
        raise AssertionError("%d delivered, %d failed (%s), %d left" % (
            len(delivered), len(failures), failures[:1], left))
    wrote[topic] += records


def read(topic, count):
    client = Consumer({"bootstrap.servers": bootstrap, "group.id": "nobody", "enable.auto.commit": False,
                       "enable.partition.eof": True, "reconnect.backoff.max.ms": 500})
    client.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    records, end = [], time.monotonic() + 60
    while time.monotonic() < end:
        message = client.poll(1.0)
        if message is None:
            continue
        if message.error():
            if message.error().code() == confluent_kafka.KafkaError._PARTITION_EOF:
                break
            if message.error().fatal():
                raise AssertionError(str(message.error()))
            continue
        if message.offset() != len(records):
            raise AssertionError("offset %d where %d was due" % (message.offset(), len(records)))
        records.append((message.key(), message.value()))
    client.close()
    if len(records) < count:
        raise AssertionError("%d of %d records read" % (len(records), count))
    return records


def check(topic):
    text = ordered_unique(wrote[topic], read(topic, len(wrote[topic])))
    if text:
        raise AssertionError(topic + ": " + text)


def topic():
    admin = AdminClient({"bootstrap.servers": bootstrap})
    names = ["cc-" + codec for codec in CODECS] + ["cc-idempotent", "cc-killed"]
    for future in admin.create_topics([NewTopic(name, 1, 1) for name in names]).values():
        future.result(30)
    listed = admin.list_topics(timeout=30).topics
    for name in names:
        if len(listed[name].partitions) != 1:
            raise AssertionError("%s has %d partitions" % (name, len(listed[name].partitions)))


def sigkill():
    def kill():
        print("kill", flush=True)

    send(producer(enable_idempotence=True, linger_ms=1, batch_num_messages=25), "cc-killed", text_records(7, 4000), kill)
    check("cc-killed")


def go_on():
    send(kept, "cc-zstd", text_records(8, 300))  # a client that lived through the kill
    send(producer(compression_type="gzip"), "cc-gzip", text_records(9, 300))
    for name in list(wrote):
        check(name)


print("confluent-kafka", confluent_kafka.version(), "librdkafka", confluent_kafka.libversion()[0], flush=True)
kept = producer(compression_type="zstd")
step("topic", topic)
for seed, codec in enumerate(CODECS):
    step(codec, lambda: send(kept if codec == "zstd" else producer(compression_type=codec), "cc-" + codec,
                             text_records(seed, 400)))
step("idempotent", lambda: (send(producer(enable_idempotence=True), "cc-idempotent", text_records(6, 1500)),
                            check("cc-idempotent")))
step("read-back", lambda: [check(name) for name in list(wrote)])
step("sigkill", sigkill)
step("go-on", go_on)
