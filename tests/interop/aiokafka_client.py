"""aiokafka through the steps of python_steps.py.   aiokafka_client.py BOOTSTRAP"""
import asyncio
import sys
import time

import aiokafka
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

import python_steps
from python_steps import want

NAME = "aiokafka"
bootstrap = sys.argv[1]


class Producer:
    def __init__(self, codec, idempotent):
        self.loop = asyncio.new_event_loop()

        async def make():
            client = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", compression_type=None if codec == "none" else codec,
                                      linger_ms=2, enable_idempotence=idempotent, max_batch_size=4000)
            await client.start()
            return client
        self.client = self.loop.run_until_complete(make())

    def send(self, topic, partition, records, at_half=None):
        async def send_all():
            futures = []
            for i, (key, value) in enumerate(records):
                futures.append(await self.client.send(topic, key=key, value=value, partition=partition,
                                                      headers=[("n", b"%d" % i)]))
                if at_half and i == len(records) // 2:
                    await futures[len(records) // 4]  # some acknowledged, some in flight
                    at_half()
            await asyncio.wait_for(asyncio.gather(*futures), 120)
        self.loop.run_until_complete(send_all())

    def close(self):
        self.loop.run_until_complete(self.client.stop())
        self.loop.close()


def read(topic, count):
    async def read_all():
        partition = TopicPartition(topic, 0)
        client = AIOKafkaConsumer(bootstrap_servers=bootstrap, fetch_max_wait_ms=50)
        client.assign([partition])
        await client.start()
        await client.seek_to_beginning(partition)
        end = (await client.end_offsets([partition]))[partition]
        records, limit = [], time.monotonic() + 60
        while await client.position(partition) < end and time.monotonic() < limit:
            for record in (await client.getmany(timeout_ms=500)).get(partition, []):
                records.append((record.offset, record.key, record.value))
        await client.stop()
        return records
    records = asyncio.run(read_all())
    want(len(records), count, "records read")
    return records


def with_admin(action):
    async def run():
        client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await client.start()
        try:
            return await action(client)
        finally:
            await client.close()
    return asyncio.run(run())


def make_topics(topics):
    async def make(client):
        await client.create_topics([NewTopic(name, partitions, 1) for name, partitions in topics.items()])
        return {topic["topic"]: len(topic["partitions"]) for topic in await client.describe_topics()}
    return with_admin(make)


class Member:
    def __init__(self, group, topic, instance):
        self.loop, self.topic = asyncio.new_event_loop(), topic

        async def make():
            client = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, group_id=group, group_instance_id=instance,
                                      enable_auto_commit=False, auto_offset_reset="earliest", session_timeout_ms=10000,
                                      heartbeat_interval_ms=300, fetch_max_wait_ms=100)
            await client.start()
            return client
        self.client = self.loop.run_until_complete(make())

    def poll(self, seconds):
        polled = self.loop.run_until_complete(self.client.getmany(timeout_ms=int(seconds * 1000)))
        return [(r.partition, r.offset, r.value) for records in polled.values() for r in records]

    def owned(self):
        return {p.partition for p in self.client.assignment()}

    def commit(self):
        self.loop.run_until_complete(self.client.commit())

    def committed(self, partition):
        return self.loop.run_until_complete(self.client.committed(TopicPartition(self.topic, partition)))

    def close(self):
        self.loop.run_until_complete(self.client.stop())
        self.loop.close()


async def change(client):
    await client.create_topics([NewTopic("ai-admin", 1, 1)])
    await client.create_partitions({"ai-admin": NewPartitions(3)})
    want(len((await client.describe_topics(["ai-admin"]))[0]["partitions"]), 3, "partitions")
    await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, "ai-admin", {"retention.ms": "7200000"})])
    told = await client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, "ai-admin")])
    if "7200000" not in str(told):
        raise AssertionError("retention.ms is not in %r" % (told,))
    groups = await client.list_consumer_groups()
    if "pair-ai-group" not in str(groups):
        raise AssertionError("listed groups: %r" % (groups,))
    offsets = await client.list_consumer_group_offsets("pair-ai-group")
    want({p.partition: o.offset for p, o in offsets.items()}, {0: 100, 1: 100, 2: 100, 3: 100}, "committed offsets")
    told = await client.describe_consumer_groups(["pair-ai-group"])
    if "pair-ai-group" not in str(told):
        raise AssertionError("described: %r" % (told,))
    await client.delete_topics(["ai-admin"])


def admin():
    with_admin(change)


print(NAME, aiokafka.__version__, flush=True)
python_steps.run(sys.modules[__name__])
