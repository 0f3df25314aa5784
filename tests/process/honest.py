"""An honest client beside whatever else goes on: what it waits for, and for how long."""
import struct
import threading
import time

from harness import answer, connect, request, text

RECORD = bytes.fromhex("00000000000000000000004700000000020217af830000000000010000018bcfe568000000018bcfe56805ffff"
                       "ffffffffffffffffffffffff000000021c000000046b3104763102026802780c000a02010100")
GROUP, TOPIC = "honest", "honest"
NOT_ENOUGH_REPLICAS = 19


def produce(topic, correlation_id):
    batch = struct.pack(">i", 0) + struct.pack(">i", len(RECORD)) + RECORD
    body = struct.pack(">hhi", -1, -1, 20_000) + struct.pack(">i", 1) + text(topic) + struct.pack(">i", 1) + batch
    return request(0, 7, correlation_id, body)


def fetch(topic, offset, correlation_id, wait_ms=500, bytes_max=1 << 20):
    partition = struct.pack(">iqi", 0, offset, bytes_max)
    body = struct.pack(">iiiib", -1, wait_ms, 1, bytes_max, 0) + struct.pack(">i", 1) + text(topic) + struct.pack(">i", 1) + partition
    return request(1, 4, correlation_id, body)


# The classic group protocol in versions without tagged fields.

def join(group, member_id, session_ms=6000, rebalance_ms=3000, version=3):
    return request(11, version, 1, text(group) + struct.pack(">ii", session_ms, rebalance_ms) + text(member_id) + text("consumer") +
                   struct.pack(">i", 1) + text("range") + struct.pack(">i", 4) + b"meta")


def sync(group, generation, member_id, parts=()):
    body = text(group) + struct.pack(">i", generation) + text(member_id) + struct.pack(">i", len(parts))
    return request(14, 2, 2, body + b"".join(text(one) + struct.pack(">i", 4) + b"part" for one in parts))


def heartbeat(group, generation, member_id):
    return request(12, 1, 3, text(group) + struct.pack(">i", generation) + text(member_id))


def leave(group, member_id):
    return request(13, 1, 4, text(group) + text(member_id))


def joined(data):
    """(error, generation, leader, own id, ids that only the leader is told) of a JoinGroup answer."""
    error, generation = struct.unpack(">hi", data[8:14])
    at, found = 14, []

    def string():
        nonlocal at
        size, = struct.unpack_from(">h", data, at)
        at += 2 + size
        return data[at - size:at].decode()
    for _ in range(3):
        found.append(string())
    count, = struct.unpack_from(">i", data, at)
    at += 4
    ids = []
    for _ in range(count):
        ids.append(string())
        at += 4 + struct.unpack_from(">i", data, at)[0]
    return error, generation, found[1], found[2], ids


class Honest(threading.Thread):
    """Every few milliseconds a member's heartbeat, which asks for nothing but the broker's attention, then a record with
    acks=all that another connection waits for in a long poll. `begin` is called by its thread, first."""

    def __init__(self, port, begin=lambda: None):
        super().__init__(daemon=True)
        self.begin = begin
        self.port, self.records, self.beats, self.error, self.running = port, [], [], None, True
        self.start()

    def run(self):
        try:
            self.begin()
            with connect(self.port) as sender, connect(self.port) as reader, connect(self.port) as member:
                self.work(sender, reader, member)
        except Exception as error:  # told by whoever looks at it
            self.error = error

    def work(self, sender, reader, member):
        member.sendall(join(GROUP, "", 30_000))
        error, generation, _, member_id, ids = joined(answer(member))
        if error or ids != [member_id]:
            raise AssertionError("join: error %d" % error)
        member.sendall(sync(GROUP, generation, member_id, ids))
        answer(member)
        number, offset = 0, None
        while self.running:
            began = time.monotonic()
            member.sendall(heartbeat(GROUP, generation, member_id))
            error, = struct.unpack(">h", answer(member)[8:10])
            if error:
                raise AssertionError("the heartbeat of a stable member of one: error %d" % error)
            self.beats.append((began, time.monotonic() - began))
            began = time.monotonic()
            if offset is not None:
                reader.sendall(fetch(TOPIC, offset + 2, number, wait_ms=20_000))
            error = NOT_ENOUGH_REPLICAS
            while error == NOT_ENOUGH_REPLICAS:  # no room for a moment: comes again, as every client does, and the time counts
                sender.sendall(produce(TOPIC, number))
                error, base = struct.unpack(">hq", answer(sender)[24:][:10])
                if error == NOT_ENOUGH_REPLICAS:
                    time.sleep(0.02)
            if error:
                raise AssertionError("produce: error %d" % error)
            if offset is not None:
                if base != offset + 2:
                    raise AssertionError("offset %d after %d" % (base, offset))
                if len(answer(reader)) < len(RECORD):
                    raise AssertionError("an empty answer to a fetch of %d" % base)
            offset = base
            number += 1
            self.records.append((began, time.monotonic() - began))
            time.sleep(0.003)


def part_ms(times, spans, share=0.99):
    """The share of `times` that went on at some instant of one of the spans; infinity if there were none."""
    inside = sorted(took for began, took in times if any(began <= until and began + took >= since for since, until in spans))
    return inside[max(0, int(len(inside) * share) - 1)] * 1000 if inside else float("inf")
