"""Bad neighbours: each runs in a process of its own until it is ended, and counts in `done` what it has done.

STORMS names them; the test and the bench run the same ones.
"""
import os
import random
import socket
import struct
import threading
import time

from consumers import consumers_join_and_leave, make_topic, thousand_consumers
from crowd import Crowd
from harness import answer, connect, kcat_produce, request, text
from honest import fetch, heartbeat, join, joined, leave, sync


def opens_and_closes(port, done):
    """From many addresses, so that neither side runs out of ports."""
    began, number = time.monotonic(), 0
    while True:
        with socket.socket() as client:
            client.setsockopt(socket.IPPROTO_IP, getattr(socket, "IP_BIND_ADDRESS_NO_PORT", 24), 1)
            client.bind(("127.%d.%d.%d" % (1 + os.getpid() % 200, number // 200 % 250, 1 + number % 200), 0))
            client.connect(("127.0.0.1", port))
            if number % 4 == 0:  # some ask, and do not wait
                client.sendall(request(18, 0, number))
        number += 1
        done.value = number
        ahead = number / 5_000 - (time.monotonic() - began)  # two of these: 10,000 a second
        if ahead > 0.01:
            time.sleep(ahead)


def gone(client):
    """Nothing to read but the end."""
    try:
        return client.recv(1 << 16, socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def fill_big(port):
    kcat_produce(port, "big", ["%07d" % i + "x" * 4000 for i in range(4000)])


def read_slowly(port, done):
    """Fetches of everything there is, read at a byte a second; who is hung up on comes again."""
    clients = {}
    while True:
        for number in range(30):
            try:
                if number not in clients:
                    clients[number] = socket.socket()
                    clients[number].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
                    clients[number].connect(("127.0.0.1", port))
                    clients[number].sendall(b"".join(fetch("big", 0, number) for number in range(20)))
                    done.value += 1
                elif clients[number].recv(1, socket.MSG_DONTWAIT) == b"":
                    raise ConnectionError
            except BlockingIOError:
                pass
            except OSError:
                clients.pop(number).close()
        time.sleep(1)


def half_open(port, done):
    """Connections that say nothing, half a length, half a request of a megabyte; such that ask and never read, and such that ask,
    end their half and keep the other."""
    kept = []
    halves = [b"", b"\0\0", struct.pack(">i", 1 << 20) + b"\0\0\0\7" + bytes(5000), request(18, 0, 1)[:-2], request(18, 0, 1) * 300,
              fetch("honest", 1 << 40, 2)]
    while True:
        for _ in range(100):
            if len(kept) < 900:
                try:
                    client = socket.create_connection(("127.0.0.1", port), timeout=5)
                    kind = len(kept) % len(halves)
                    client.sendall(halves[kind])
                    if kind == len(halves) - 1:
                        client.shutdown(socket.SHUT_WR)
                    kept.append(client)
                    done.value += 1
                except OSError:
                    pass
        if len(kept) >= 900:
            for client in list(kept):
                if client.fileno() % 5 and gone(client):
                    kept.remove(client)
                    client.close()
        time.sleep(0.1)


def join_and_leave(port, done):
    """Fifty members of one group: each joins, syncs if its turn comes, and leaves, every second."""
    def once(make):
        with connect(port) as client, connect(port) as leaver:
            client.settimeout(make.uniform(0.1, 0.8))
            client.sendall(join("storm", "", version=4))
            member_id = joined(answer(client))[3]
            try:
                client.sendall(join("storm", member_id, version=4))
                error, generation, _, _, ids = joined(answer(client))
                if error == 0:
                    client.sendall(sync("storm", generation, member_id, ids))
                    answer(client)
            except OSError:
                pass  # it does not wait any longer
            leaver.sendall(leave("storm", member_id))
            answer(leaver)
        with done.get_lock():
            done.value += 1

    def member(number):
        make = random.Random(number)
        while True:
            began = time.monotonic()
            try:
                once(make)
            except (OSError, struct.error):
                pass
            time.sleep(max(0, began + 1 - time.monotonic()))
    for number in range(49):
        threading.Thread(target=member, args=(number,), daemon=True).start()
    member(49)


def thousand_members(port, done):
    """One group of 1,000 members, each a state machine as a client has it; every second ten go and ten come."""
    crowd, members = Crowd(port), {}
    fresh = {"id": "", "generation": -1, "asked": ""}

    def ask(number, what, frame):
        members[number]["asked"] = what
        crowd.send(number, frame)

    def begin(number):
        crowd.open(number)
        members[number] = dict(fresh)
        ask(number, "join", join("thousand", "", 30_000, 30_000))

    def on_answer(number, data):
        me = members[number]
        what, me["asked"] = me["asked"], ""
        if what == "join":
            error, me["generation"], _, me["id"], ids = joined(data)
            if error == 0:
                done.value += 1
                return ask(number, "sync", sync("thousand", me["generation"], me["id"], ids))
            me["id"] = ""
        elif struct.unpack(">h", data[8:10])[0] == 0:
            me["due"] = time.monotonic() + 1
            return None
        elif struct.unpack(">h", data[8:10])[0] == 25:  # UNKNOWN_MEMBER_ID
            me["id"] = ""
        return ask(number, "join", join("thousand", me["id"], 30_000, 30_000))

    for number in range(1000):
        begin(number)
    change = time.monotonic() + 1
    while True:
        crowd.turn(0.05, on_answer, begin)
        now = time.monotonic()
        if now >= change:
            change = now + 1
            for number in random.sample(sorted(crowd.clients), 10):
                crowd.send(number, leave("thousand", members[number]["id"]))
                crowd.close(number)
                begin(number)
        for number, me in members.items():
            if me["asked"] == "" and now >= me.get("due", 0):
                ask(number, "beat", heartbeat("thousand", me["generation"], me["id"]))


def join_and_never_sync(port, done):
    """200 joins a second into ten groups; nobody syncs, nobody leaves, each connection ends when its second is over."""
    crowd, number = Crowd(port), 0

    def on_answer(_, data):
        done.value += joined(data)[0] == 0
    while True:
        began = time.monotonic()
        for _ in range(20):
            crowd.open(number)
            crowd.send(number, join("unsynced-%d" % (number % 10), ""))
            if number - 200 in crowd.clients:
                crowd.close(number - 200)
            number += 1
        while time.monotonic() < began + 0.1:
            crowd.turn(0.02, on_answer, lambda _: None)


def commit(group, offset, metadata="", partitions=1, topic="honest"):
    places = b"".join(struct.pack(">iq", i, offset) + text(metadata) for i in range(partitions))
    return request(8, 2, 5, text(group) + struct.pack(">i", -1) + text("") + struct.pack(">q", -1) + struct.pack(">i", 1) +
                   text(topic) + struct.pack(">i", partitions) + places)


def ten_thousand_groups(port, done):
    """Commits to 10,000 groups, round after round, then the list of all."""
    with connect(port) as client:
        for turn in range(1, 1 << 30):
            for first in range(0, 10_000, 50):
                client.sendall(b"".join(commit("g-%d" % number, turn) for number in range(first, first + 50)))
                for _ in range(50):
                    answer(client)
                    done.value += 1
            client.sendall(request(16, 0, 6))
            answer(client)


def huge_metadata(port, done):
    """Commits with a megabyte of metadata, four on the way on each of eight connections, and before them one of a single offset in
    a version whose strings may say that they are that long. It is too large for any offset."""
    frames = commit("huge", 1, "m" * 32_000, 33) * 4
    # v8, flexible: the header's tagged fields, then compact strings and arrays, whose lengths are one more and in groups of 7 bits.
    single = request(8, 8, 6, b"\0\5huge" + struct.pack(">i", -1) + b"\1\0\2\7honest\2" + struct.pack(">iqi", 0, 1, -1) +
                     b"\x81\x80\x40" + b"m" * (1 << 20) + b"\0\0\0")

    def one():
        while True:
            with connect(port) as client:
                client.sendall(single)
                try:
                    answer(client)
                except OSError:
                    pass  # hung up on
                with done.get_lock():
                    done.value += 1
            with connect(port) as client:
                for _ in range(20):
                    client.sendall(frames)
                    for _ in range(4):
                        answer(client)
                        with done.get_lock():
                            done.value += 1
    for _ in range(7):
        threading.Thread(target=one, daemon=True).start()
    one()


def ten_thousand_topics(port, done):
    """10,000 topics in one request: looked for, fetched, created, deleted."""
    names = ["topic-%05d" % number for number in range(10_000)]
    count = struct.pack(">i", len(names))
    one = struct.pack(">i", 1) + struct.pack(">iqi", 0, 0, 1 << 20)
    look = request(3, 4, 1, count + b"".join(map(text, names)) + b"\0")
    read = request(1, 4, 2, struct.pack(">iiiib", -1, 0, 1, 1 << 20, 0) + count + b"".join(text(name) + one for name in names))
    create = request(19, 2, 3, count + b"".join(text(name) + struct.pack(">ihii", 1, 1, 0, 0) for name in names) +
                     struct.pack(">i", 60_000) + b"\0")
    delete = request(20, 1, 4, count + b"".join(map(text, names)) + struct.pack(">i", 60_000))
    while True:
        with connect(port) as client:
            for frame in (look, read, create, look, read, delete):
                client.sendall(frame)
                answer(client)
                done.value += 1


NAMES = ["topic-%05d" % number for number in range(10_000)]


def listed(parts):
    return struct.pack(">i", len(parts)) + b"".join(parts)


def make_topics(port):
    with connect(port) as client:
        client.sendall(request(19, 2, 3, listed([text(name) + struct.pack(">ihii", 1, 1, 0, 0) for name in NAMES]) + struct.pack(">i", 60_000) + b"\0"))
        answer(client)


def ask_everything(port, done):
    """Of 10,000 topics all that can be asked in one request: where they end, what is committed, their settings and sizes, epochs and
    producers, and 10,000 groups; and 10,000 positions are committed."""
    first = struct.pack(">i", 0)
    offset = -1
    with connect(port) as client:
        while True:
            offset += 1
            for frame in (
                    request(2, 1, 1, struct.pack(">i", -1) + listed([text(name) + listed([first + struct.pack(">q", -1)]) for name in NAMES])),
                    request(8, 2, 2, text("asks") + struct.pack(">i", -1) + text("") + struct.pack(">q", -1) +
                            listed([text(name) + listed([first + struct.pack(">q", offset) + text("")]) for name in NAMES])),
                    request(9, 1, 3, text("asks") + listed([text(name) + listed([first]) for name in NAMES])),
                    request(15, 0, 4, listed([text(name) for name in NAMES])),
                    request(23, 2, 5, listed([text(name) + listed([first + struct.pack(">ii", -1, 0)]) for name in NAMES])),
                    request(32, 1, 6, listed([b"\2" + text(name) + struct.pack(">i", -1) for name in NAMES]) + b"\0"),
                    request(35, 1, 7, struct.pack(">i", -1))):
                client.sendall(frame)
                answer(client)
                done.value += 1


# name: (what to do before, the processes)
STORMS = {
    "50 members join and leave every second": (None, [join_and_leave]),
    "50 consumers (KIP-848) join and leave": (make_topic("consumers", 50), [consumers_join_and_leave]),
    "10,000 connections a second": (None, [opens_and_closes, opens_and_closes]),
    "everything fetched, read at 1 byte/s": (fill_big, [read_slowly]),
    "10,000 topics in one request": (None, [ten_thousand_topics]),
    "10,000 topics asked about": (make_topics, [ask_everything]),
    "10,000 groups": (None, [ten_thousand_groups]),
    "a group of 1,000 members": (None, [thousand_members]),
    "a group of 1,000 consumers (KIP-848)": (make_topic("thousand-consumers", 1000), [thousand_consumers]),
    "members join and never sync": (None, [join_and_never_sync]),
    "commits with 1 MB of metadata": (None, [huge_metadata]),
    "half-open connections": (None, [half_open]),
}
