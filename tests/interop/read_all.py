"""Reads one partition whole, as the checkers of kills.py and seasons.py need it."""
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

PATIENCE = 120


def read_all(bootstrap, topic, partition):
    """(log start, high watermark, [(offset, value)]), the two offsets as they were before the reading began."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "nobody", "enable.auto.commit": False,
                         "enable.partition.eof": True, "auto.offset.reset": "earliest", "reconnect.backoff.max.ms": 200,
                         "log_level": 0})
    start, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), PATIENCE)
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
    records, until = [], time.monotonic() + PATIENCE
    while time.monotonic() < until:
        message = consumer.poll(1.0)
        if message is None:
            continue
        if message.error():
            if message.error().code() == KafkaError._PARTITION_EOF:
                consumer.close()
                return start, end, records
            continue
        records.append((message.offset(), message.value()))
    raise SystemExit("%s %d: no end within %d s" % (topic, partition, PATIENCE))
