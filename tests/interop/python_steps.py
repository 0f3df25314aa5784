"""The steps of the interoperability matrix for clients in Python; talks to lane.py's `converse`.

A client is a module-like object with NAME, Producer(codec, idempotent) -> send(topic, partition, records, at_half=None),
close(); read(topic, count) -> [(offset, key, value)] of partition 0; make_topics({name: partitions}), which also lists them as
{name: partitions}; Member as group_steps.py wants it; admin().
"""
import collections
import sys
import traceback

import group_steps
from lane import CODECS, ordered_unique, text_records


def step(name, action):
    try:
        action()
        print("step", name, "ok", flush=True)
    except Exception as error:  # each step gives a result, whatever happens
        traceback.print_exc()
        print("step", name, ("%s: %s" % (type(error).__name__, error)).replace("\n", " "), flush=True)


def run(client):
    wrote = collections.defaultdict(list)
    kept = client.Producer("zstd", False)
    keyless = client.Producer("none", True)
    prefix = client.NAME[:2] + "-"

    def send(producer, topic, records, at_half=None):
        producer.send(prefix + topic, 0, records, at_half)
        wrote[prefix + topic] += records

    def check(topics=None):
        for topic in topics or list(wrote):
            have = client.read(topic, len(wrote[topic]))
            if [offset for offset, _, _ in have] != list(range(len(have))):
                raise AssertionError("%s: offsets %r" % (topic, [o for o, _, _ in have][:20]))
            text = ordered_unique(wrote[topic], [(key, value) for _, key, value in have])
            if text:
                raise AssertionError(topic + ": " + text)

    def topic():
        wanted = {prefix + name: 1 for name in CODECS + ["idempotent", "killed"]}
        wanted.update({prefix + "group": 4, prefix + "resume": 4})
        listed = client.make_topics(wanted)
        if {name: listed.get(name) for name in wanted} != wanted:
            raise AssertionError("listed: %r" % listed)

    def codec(name, seed):
        producer = kept if name == "zstd" else client.Producer(name, False)
        send(producer, name, text_records(seed, 400))
        if producer is not kept:
            producer.close()

    def idempotent():
        producer = client.Producer("none", True)
        send(producer, "idempotent", text_records(6, 1500))
        producer.close()
        check([prefix + "idempotent"])

    def killed():
        print("kill", flush=True)

    def sigkill():
        producer = client.Producer("none", True)
        send(producer, "killed", text_records(7, 3000), killed)
        if sys.stdin.readline().strip() != "killed":
            raise AssertionError("the broker was not killed")
        producer.close()
        check([prefix + "killed"])

    def go_on():
        send(kept, "zstd", text_records(8, 300))  # a client that lived through the kill
        producer = client.Producer("gzip", False)
        send(producer, "gzip", text_records(9, 300))
        producer.close()
        check()

    def values(topic, partition, values):
        keyless.send(topic, partition, [(None, value) for value in values])

    step("topic", topic)
    for seed, name in enumerate(CODECS):
        step(name, lambda: codec(name, seed))
    step("idempotent", idempotent)
    step("read-back", check)
    step("group", lambda: group_steps.group(client.Member, prefix + "group", values))
    step("admin", client.admin)
    step("sigkill", sigkill)
    step("resume", lambda: group_steps.resume(client.Member, prefix + "resume", values))
    step("go-on", go_on)
    kept.close()
    keyless.close()


def want(have, wanted, what):
    if have != wanted:
        raise AssertionError("%s: %r where %r is due" % (what, have, wanted))
