"""Produces numbered records with time stamps of another day, as kcat cannot.

    stamped_producer.py

Reads `BOOTSTRAP TOPIC FIRST COUNT MILLISECONDS` from stdin, a line each: COUNT records from FIRST on to partition 0, stamped from
MILLISECONDS on, five in a batch. Answers `ok` when all are acknowledged.
"""
import sys

from confluent_kafka import Producer

for line in sys.stdin:
    bootstrap, topic, first, count, stamp = line.split()
    client = Producer({"bootstrap.servers": bootstrap, "acks": "all", "linger.ms": 5, "batch.num.messages": 5,
                       "message.timeout.ms": 60000})
    failures = []
    for number in range(int(first), int(first) + int(count)):
        client.produce(topic, key=b"k", value=b"%d" % number, partition=0, timestamp=int(stamp) + number,
                       on_delivery=lambda error, _: error and failures.append(error))
    left = client.flush(60)
    print("ok" if not left and not failures else "%d not sent, %s" % (left, failures[:1]), flush=True)
