"""The steps of the interoperability matrix, by confluent-kafka; talks to lane.py's `converse`.

    confluent_client.py BOOTSTRAP [consumer]

`consumer`: only the steps with groups, in the consumer protocol (KIP-848).
"""
import collections
import sys
import time
import traceback

import confluent_kafka
from confluent_kafka import OFFSET_BEGINNING, Consumer, ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import (AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic,
                                   OffsetSpec, ResourceType)

import group_steps
from lane import CODECS, ordered_unique, text_records

SECONDS_MAX = 120
bootstrap = sys.argv[1]
consumer_protocol = sys.argv[2:] == ["consumer"]
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
                       "enable.partition.eof": True, "reconnect.backoff.max.ms": 500, "fetch.wait.max.ms": 50})
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


class Member:
    def __init__(self, group, topic, instance):
        settings = {"bootstrap.servers": bootstrap, "group.id": group, "enable.auto.commit": False, "log_level": 0,
                    "auto.offset.reset": "earliest", "reconnect.backoff.max.ms": 500}
        if consumer_protocol:  # there the broker says how long a session is and how often it wants to hear
            settings["group.protocol"] = "consumer"
        else:
            settings.update({"session.timeout.ms": 10000, "heartbeat.interval.ms": 300})
        if instance:
            settings["group.instance.id"] = instance
        self.client, self.topic = Consumer(settings), topic
        self.client.subscribe([topic])

    def poll(self, seconds):
        messages = self.client.consume(500, seconds)
        fatal = [m.error() for m in messages if m.error() and m.error().fatal()]
        if fatal:
            raise AssertionError(str(fatal[0]))
        return [(m.partition(), m.offset(), m.value()) for m in messages if not m.error()]

    def owned(self):
        return {p.partition for p in self.client.assignment()}

    def commit(self):
        for partition in self.client.commit(asynchronous=False):
            if partition.error:
                raise AssertionError(str(partition.error))

    def committed(self, partition):
        return self.client.committed([TopicPartition(self.topic, partition)], timeout=30)[0].offset

    def close(self):
        self.client.close()


def send_values(name, partition, values):
    client, failures = producer(enable_idempotence=True, linger_ms=1), []
    for value in values:
        client.produce(name, value=value, partition=partition, on_delivery=lambda e, m: e and failures.append(e))
    if client.flush(SECONDS_MAX) or failures:
        raise AssertionError("not delivered: %s" % failures[:1])


def with_topic(name, action):
    client = AdminClient({"bootstrap.servers": bootstrap})
    all_of(client.create_topics([NewTopic(name, group_steps.PARTITIONS, 1)]))
    action(Member, name, send_values)


def want(have, wanted, what):
    if have != wanted:
        raise AssertionError("%s: %r where %r is due" % (what, have, wanted))


def all_of(futures):
    return {key: future.result(30) for key, future in futures.items()}


def admin():
    client = AdminClient({"bootstrap.servers": bootstrap})
    all_of(client.create_topics([NewTopic("cc-admin", 1, 1, config={"retention.ms": "86400000"})]))

    def setting(name):
        resource = ConfigResource(ResourceType.TOPIC, "cc-admin")
        return all_of(client.describe_configs([resource]))[resource][name]

    want(setting("retention.ms").value, "86400000", "retention.ms as made")
    change = ConfigResource(ResourceType.TOPIC, "cc-admin", incremental_configs=[
        ConfigEntry("retention.ms", "7200000", incremental_operation=AlterConfigOpType.SET)])
    all_of(client.incremental_alter_configs([change]))
    want((setting("retention.ms").value, setting("retention.ms").is_default), ("7200000", False), "retention.ms as set")
    change = ConfigResource(ResourceType.TOPIC, "cc-admin", incremental_configs=[
        ConfigEntry("retention.ms", None, incremental_operation=AlterConfigOpType.DELETE)])
    all_of(client.incremental_alter_configs([change]))
    want(setting("retention.ms").is_default, True, "retention.ms as removed")
    for name, value in (("no.such.setting", "1"), ("retention.ms", "soon")):
        bad = ConfigResource(ResourceType.TOPIC, "cc-admin", incremental_configs=[
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)])
        try:
            all_of(client.incremental_alter_configs([bad]))
            raise AssertionError("%s=%s was accepted" % (name, value))
        except confluent_kafka.KafkaException as error:
            want(error.args[0].code(), confluent_kafka.KafkaError.INVALID_CONFIG, name)

    all_of(client.create_partitions([NewPartitions("cc-admin", 3)]))
    want(len(client.list_topics("cc-admin", timeout=30).topics["cc-admin"].partitions), 3, "partitions")
    send_values("cc-admin", 2, [b"%d" % i for i in range(30)])
    all_of(client.delete_records([TopicPartition("cc-admin", 2, 10)]))
    ends = all_of(client.list_offsets({TopicPartition("cc-admin", 2): OffsetSpec.earliest()}))
    want([e.offset for e in ends.values()], [10], "the first offset after delete_records")

    member = Member("cc-admin-group", "cc-admin", None)
    got = []
    group_steps.until(lambda: got.extend(member.poll(0.1)) or len(got) == 20, "reading")
    member.commit()
    told = client.describe_consumer_groups(["cc-admin-group"])["cc-admin-group"].result(30)
    want((told.state.name, len(told.members), told.partition_assignor), ("STABLE", 1, "range"), "describe")
    want(len(told.members[0].assignment.topic_partitions), 3, "the assignment as described")
    try:
        all_of(client.delete_consumer_groups(["cc-admin-group"]))
        raise AssertionError("a group with a member was deleted")
    except confluent_kafka.KafkaException as error:
        want(error.args[0].code(), confluent_kafka.KafkaError.NON_EMPTY_GROUP, "delete_consumer_groups")
    member.close()
    listed = {g.group_id: g.state.name for g in client.list_consumer_groups().result(30).valid}
    want(listed.get("cc-admin-group"), "EMPTY", "list_consumer_groups")

    def offset():
        question = ConsumerGroupTopicPartitions("cc-admin-group", [TopicPartition("cc-admin", 2)])
        return all_of(client.list_consumer_group_offsets([question]))["cc-admin-group"].topic_partitions[0].offset

    want(offset(), 30, "the committed offset")
    all_of(client.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(
        "cc-admin-group", [TopicPartition("cc-admin", 2, 15)])]))
    want(offset(), 15, "the altered offset")
    all_of(client.delete_consumer_groups(["cc-admin-group"]))
    if "cc-admin-group" in {g.group_id for g in client.list_consumer_groups().result(30).valid}:
        raise AssertionError("a deleted group is still listed")
    want(client.describe_cluster().result(30).controller.id, 0, "the controller")
    all_of(client.delete_topics(["cc-admin"]))


def consumer_group_admin():
    """The other protocol's groups as tools see them; a member that subscribes by a pattern which the broker matches."""
    client = AdminClient({"bootstrap.servers": bootstrap})
    all_of(client.create_topics([NewTopic("cp-admin-%d" % i, 2, 1) for i in range(2)]))
    for i in range(2):
        send_values("cp-admin-%d" % i, 1, [b"%d" % i] * 10)
    member = Member("cp-admin-group", "^cp-admin-[0-9]+", None)
    got = []
    group_steps.until(lambda: got.extend(member.poll(0.1)) or len(got) == 20, "reading by pattern")
    member.commit()
    told = client.describe_consumer_groups(["cp-admin-group"])["cp-admin-group"].result(30)
    want((told.state.name, told.type.name, len(told.members), told.partition_assignor),
         ("STABLE", "CONSUMER", 1, "uniform"), "describe")
    want(len(told.members[0].assignment.topic_partitions), 4, "the assignment as described")
    listed = {g.group_id: (g.state.name, g.type.name) for g in client.list_consumer_groups().result(30).valid}
    want(listed.get("cp-admin-group"), ("STABLE", "CONSUMER"), "list_consumer_groups")
    all_of(client.create_topics([NewTopic("cp-admin-2", 2, 1)]))  # the group finds it by itself
    send_values("cp-admin-2", 1, [b"2"] * 10)
    group_steps.until(lambda: got.extend(member.poll(0.1)) or len(got) == 30, "reading of a topic that is new")
    member.close()
    group_steps.until(lambda: {g.group_id: g.state.name for g in client.list_consumer_groups().result(30).valid}.get(
        "cp-admin-group") == "EMPTY", "empty group")
    all_of(client.delete_consumer_groups(["cp-admin-group"]))


print("confluent-kafka", confluent_kafka.version(), "librdkafka", confluent_kafka.libversion()[0], flush=True)
if consumer_protocol:
    step("group", lambda: with_topic("cp-group", group_steps.group))
    step("admin", consumer_group_admin)
    step("resume", lambda: with_topic("cp-resume", group_steps.resume))
    sys.exit()
kept = producer(compression_type="zstd")
step("topic", topic)
for seed, codec in enumerate(CODECS):
    step(codec, lambda: send(kept if codec == "zstd" else producer(compression_type=codec), "cc-" + codec,
                             text_records(seed, 400)))
step("idempotent", lambda: (send(producer(enable_idempotence=True), "cc-idempotent", text_records(6, 1500)),
                            check("cc-idempotent")))
step("read-back", lambda: [check(name) for name in list(wrote)])
step("group", lambda: with_topic("cc-group", group_steps.group))
step("admin", admin)
step("sigkill", sigkill)
step("resume", lambda: (sys.stdin.readline(), with_topic("cc-resume", group_steps.resume)))
step("go-on", go_on)
