"""Bad neighbours that are members of the consumer protocol (KIP-848): one request, flexible, so compact strings and arrays, and
tagged fields."""
import os
import random
import struct
import threading
import time

from crowd import Crowd
from harness import answer, connect, request, text


def compact(value):
    data = value.encode()
    return bytes([len(data) + 1]) + data


def consumer_heartbeat(group, topic, member_id, epoch, owned):
    """What it reads it says when it joins; `owned` is an array of topics as answers have it."""
    says = struct.pack(">i", 3000) + b"\2" + compact(topic) if epoch == 0 else struct.pack(">i", -1) + b"\0"
    return request(68, 1, 7, b"\0" + compact(group) + compact(member_id) + struct.pack(">i", epoch) + b"\0\0" + says + b"\0\0" + owned + b"\0")


NOTHING = b"\1"


def beaten(data):
    """(error, epoch, what it is told to own, if anything) of a ConsumerGroupHeartbeat answer."""
    error, = struct.unpack_from(">h", data, 9)
    at = 11
    for _ in range(2):  # a message, and the member's id
        at += max(1, data[at])
    epoch, _, told = struct.unpack_from(">iib", data, at)
    return error, epoch, data[at + 9:-2] if told > 0 else None


def consumers_join_and_leave(port, done):
    """Fifty members of one group of the consumer protocol, of whom each joins, takes what it is given, and leaves, every second."""
    def once(make, member_id):
        epoch, owned, until = 0, NOTHING, time.monotonic() + make.uniform(0.2, 0.8)
        with connect(port) as client:
            while time.monotonic() < until:
                client.sendall(consumer_heartbeat("consumers", "consumers", member_id, epoch, owned))
                error, epoch, told = beaten(answer(client))
                if error:
                    raise AssertionError("error %d" % error)
                owned = owned if told is None else told
                time.sleep(0.05)
            client.sendall(consumer_heartbeat("consumers", "consumers", member_id, -1, owned))
            answer(client)
        with done.get_lock():
            done.value += 1

    def member(number):
        make = random.Random(number)
        for turn in range(1 << 30):
            began = time.monotonic()
            once(make, "%d-%d-%d" % (os.getpid(), number, turn))
            time.sleep(max(0, began + 1 - time.monotonic()))
    for number in range(49):
        threading.Thread(target=member, args=(number,), daemon=True).start()
    member(49)


def thousand_consumers(port, done):
    """One group of the consumer protocol of 1,000 members; every second ten go and ten come, and who is told to own something else
    answers at once."""
    crowd, members, name = Crowd(port), {}, "thousand-consumers"

    def ask(number, epoch):
        me = members[number]
        me["due"] = float("inf")
        crowd.send(number, consumer_heartbeat(name, name, me["id"], epoch, me["owned"]))

    def begin(number):
        crowd.open(number)
        members[number] = {"id": "%d-%d-%d" % (os.getpid(), number, done.value), "epoch": 0, "owned": NOTHING}
        ask(number, 0)

    def on_answer(number, data):
        me = members[number]
        error, me["epoch"], told = beaten(data)
        if error:
            me.update(epoch=0, owned=NOTHING)
        else:
            done.value += 1
        me["due"] = time.monotonic() + (0 if error or told not in (None, me["owned"]) else 1)
        if not error and told is not None:
            me["owned"] = told

    for number in range(1000):
        begin(number)
    change = time.monotonic() + 1
    while True:
        crowd.turn(0.02, on_answer, begin)
        now = time.monotonic()
        if now >= change:
            change = now + 1
            for number in random.sample(sorted(crowd.clients), 10):
                ask(number, -1)
                crowd.close(number)
                begin(number)
        for number, me in members.items():
            if now >= me["due"]:
                ask(number, me["epoch"])


def make_topic(name, partitions):
    def make(port):
        with connect(port) as client:
            client.sendall(request(19, 2, 3, struct.pack(">i", 1) + text(name) + struct.pack(">ihii", partitions, 1, 0, 0) + struct.pack(">i", 60_000) + b"\0"))
            answer(client)
    return make
