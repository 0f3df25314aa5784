"""kafka-python through the steps of python_steps.py.   kafka_python_client.py BOOTSTRAP"""
import sys
import time

import kafka
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewPartitions, NewTopic

import python_steps
from python_steps import want

NAME = "kafka-python"
bootstrap = sys.argv[1]
COMMON = {"bootstrap_servers": bootstrap, "reconnect_backoff_max_ms": 500}


class Producer:
    def __init__(self, codec, idempotent):
        self.client = KafkaProducer(acks="all", compression_type=None if codec == "none" else codec, linger_ms=2,
                                    enable_idempotence=idempotent, batch_size=4000, **COMMON)

    def send(self, topic, partition, records, at_half=None):
        futures = []
        for i, (key, value) in enumerate(records):
            futures.append(self.client.send(topic, key=key, value=value, partition=partition, headers=[("n", b"%d" % i)]))
            if at_half and i == len(records) // 2:
                futures[len(records) // 4].get(60)  # some acknowledged, some in flight
                at_half()
        for future in futures:
            future.get(120)

    def close(self):
        self.client.close()


def read(topic, count):
    client = KafkaConsumer(enable_auto_commit=False, check_crcs=True, fetch_max_wait_ms=50, **COMMON)
    partition = TopicPartition(topic, 0)
    client.assign([partition])
    client.seek_to_beginning(partition)
    end = client.end_offsets([partition])[partition]
    records, limit = [], time.monotonic() + 60
    while client.position(partition) < end and time.monotonic() < limit:
        for record in client.poll(timeout_ms=500).get(partition, []):
            records.append((record.offset, record.key, record.value))
    client.close()
    want(len(records), count, "records read")
    return records


def make_topics(topics):
    client = KafkaAdminClient(**COMMON)
    client.create_topics([NewTopic(name, partitions, 1) for name, partitions in topics.items()])
    listed = {topic["name"]: len(topic["partitions"]) for topic in client.describe_topics()}
    client.close()
    return listed


class Member:
    def __init__(self, group, topic, instance):
        self.client = KafkaConsumer(group_id=group, group_instance_id=instance, enable_auto_commit=False,
                                    auto_offset_reset="earliest", session_timeout_ms=10000, heartbeat_interval_ms=300,
                                    fetch_max_wait_ms=100, **COMMON)
        self.client.subscribe([topic])
        # With no rebalance delay it may join before it knows the topic, assigns itself nothing, joins again at once
        # and then (3.0.12) never takes up what the second SyncGroup brought it.
        end = time.monotonic() + 10
        while not self.client.partitions_for_topic(topic) and time.monotonic() < end:
            time.sleep(0.01)
        self.topic = topic

    def poll(self, seconds):
        return [(r.partition, r.offset, r.value) for records in self.client.poll(timeout_ms=int(seconds * 1000)).values()
                for r in records]

    def owned(self):
        return {p.partition for p in self.client.assignment()}

    def commit(self):
        self.client.commit()

    def committed(self, partition):
        return self.client.committed(TopicPartition(self.topic, partition))

    def close(self):
        self.client.close()


def admin():
    client = KafkaAdminClient(**COMMON)
    client.create_topics([NewTopic("ka-admin", 1, 1)])
    client.create_partitions({"ka-admin": NewPartitions(3)})
    want(len(client.describe_topics(["ka-admin"])[0]["partitions"]), 3, "partitions")
    client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, "ka-admin", {"retention.ms": "7200000"})])
    told = client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, "ka-admin")])
    if "7200000" not in str(told):
        raise AssertionError("retention.ms is not in %r" % (told,))
    producer, partition = Producer("none", True), TopicPartition("ka-admin", 1)
    producer.send("ka-admin", 1, [(None, b"%d" % i) for i in range(30)])
    producer.close()
    client.delete_records({partition: 10})
    member = Member("ka-admin-group", "ka-admin", None)
    want(member.client.beginning_offsets([partition])[partition], 10, "the first offset after delete_records")
    got, end = [], time.monotonic() + 30
    while len(got) < 20 and time.monotonic() < end:
        got += member.poll(0.2)
    want([offset for _, offset, _ in got], list(range(10, 30)), "offsets read")
    member.commit()
    if "Stable" not in str(client.describe_groups(["ka-admin-group"])):
        raise AssertionError("described: %r" % client.describe_groups(["ka-admin-group"]))
    member.close()
    if "ka-admin-group" not in str(client.list_groups()):
        raise AssertionError("listed: %r" % client.list_groups())
    if "offset=30" not in str(client.list_group_offsets({"ka-admin-group": None})):
        raise AssertionError("offsets: %r" % client.list_group_offsets({"ka-admin-group": None}))
    client.delete_groups(["ka-admin-group"])
    if "ka-admin-group" in str(client.list_groups()):
        raise AssertionError("a deleted group is still listed")
    client.delete_topics(["ka-admin"])
    client.close()


print(NAME, kafka.__version__, flush=True)
python_steps.run(sys.modules[__name__])
