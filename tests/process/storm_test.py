"""Bad neighbours against a real process, while an honest producer and consumer work: what they feel of it, what memory it takes,
and whether everything is as before ten seconds after. Measured figures are printed; what is judged is generous, because the
machine of a test is busy. The neighbours are processes of their own, so they do not take the honest one's time."""
import json
import multiprocessing
import os
import random
import re
import signal
import socket
import struct
import threading
import time
import unittest

from harness import PATIENCE, SANITIZED, Case, answer, connect, kcat_produce, request, text, wait_for

BEFORE, STORM = 2.0, 6.0  # seconds
RSS_KIB_MAX = 48 * 1024   # an idle broker has 8 MiB, the byte pool 4, connections about 1 KiB each
RECORD = bytes.fromhex("00000000000000000000004700000000020217af830000000000010000018bcfe568000000018bcfe56805ffff"
                       "ffffffffffffffffffffffff000000021c000000046b3104763102026802780c000a02010100")


def produce(topic, correlation_id):
    batch = struct.pack(">i", 0) + struct.pack(">i", len(RECORD)) + RECORD
    body = struct.pack(">hhi", -1, -1, 20_000) + struct.pack(">i", 1) + text(topic) + struct.pack(">i", 1) + batch
    return request(0, 7, correlation_id, body)


def fetch(topic, offset, correlation_id, wait_ms=500, bytes_max=1 << 20):
    partition = struct.pack(">iqi", 0, offset, bytes_max)
    body = struct.pack(">iiiib", -1, wait_ms, 1, bytes_max, 0) + struct.pack(">i", 1) + text(topic) + struct.pack(">i", 1) + partition
    return request(1, 4, correlation_id, body)


class Honest(threading.Thread):
    """Sends a record with acks=all every few milliseconds and waits for it in a long poll of another connection."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.times, self.error, self.running = port, [], None, True
        self.start()

    def run(self):
        try:
            with connect(self.port) as sender, connect(self.port) as reader:
                self.work(sender, reader)
        except Exception as error:  # told by the test
            self.error = error

    def work(self, sender, reader):
        number, offset = 0, None
        while self.running:
            began = time.monotonic()
            if offset is not None:
                reader.sendall(fetch("honest", offset + 2, number, wait_ms=20_000))
            sender.sendall(produce("honest", number))
            told = answer(sender)
            error, base = struct.unpack(">hq", told[24:][:10])
            if error:
                raise AssertionError("produce: error %d" % error)
            if offset is not None:
                if base != offset + 2:
                    raise AssertionError("offset %d after %d" % (base, offset))
                if len(answer(reader)) < len(RECORD):
                    raise AssertionError("an empty answer to a fetch of %d" % base)
            offset = base
            number += 1
            self.times.append((began, time.monotonic() - began))
            time.sleep(0.003)

    def p99_ms(self, since, until):
        times = sorted(took for began, took in self.times if since <= began <= until)
        return times[max(0, int(len(times) * 0.99) - 1)] * 1000 if times else float("inf")


# ------------------------------------------------------------------------------------------------- bad neighbours
# Each runs in a process of its own until it is ended, and counts what it has done.

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
    """Connections that say nothing, half a length, half a request of a megabyte; and such that ask and never read."""
    kept = []
    halves = [b"", b"\0\0", struct.pack(">i", 1 << 20) + b"\0\0\0\7" + bytes(5000), request(18, 0, 1)[:-2], request(18, 0, 1) * 300]
    while True:
        for _ in range(100):
            if len(kept) < 900:
                try:
                    client = socket.create_connection(("127.0.0.1", port), timeout=5)
                    client.sendall(halves[len(kept) % len(halves)])
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


def strings(data, count):
    found = []
    for _ in range(count):
        size, = struct.unpack(">h", data[:2])
        found.append(data[2:2 + size].decode())
        data = data[2 + size:]
    return found


def join_and_leave(port, done):
    """Fifty members of one group: each joins, syncs if its turn comes, and leaves, every second."""
    def join(member_id):
        return request(11, 4, 1, text("storm") + struct.pack(">ii", 6000, 3000) + text(member_id) + text("consumer") +
                       struct.pack(">i", 1) + text("range") + struct.pack(">i", 4) + b"meta")

    def once(number, make):
        with connect(port) as client, connect(port) as leaver:
            client.settimeout(make.uniform(0.1, 0.8))
            client.sendall(join(""))
            member_id = strings(answer(client)[14:], 3)[2]
            try:
                client.sendall(join(member_id))
                error, generation = struct.unpack(">hi", answer(client)[8:14])
                if error == 0:
                    client.sendall(request(14, 2, 2, text("storm") + struct.pack(">i", generation) + text(member_id) + struct.pack(">i", 0)))
                    answer(client)
            except OSError:
                pass  # it does not wait any longer
            leaver.sendall(request(13, 1, 3, text("storm") + text(member_id)))
            answer(leaver)
        with done.get_lock():
            done.value += 1

    def member(number):
        make = random.Random(number)
        while True:
            began = time.monotonic()
            try:
                once(number, make)
            except (OSError, struct.error):
                pass
            time.sleep(max(0, began + 1 - time.monotonic()))
    for number in range(49):
        threading.Thread(target=member, args=(number,), daemon=True).start()
    member(49)


class Storm(Case):
    def setUp(self):
        super().setUp()
        path = os.path.join(self.folder, "storm.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"group.initial.rebalance.delay.ms": 0}, file)
        self.broker = self.leatd("--http", "127.0.0.1:0", "--config", path).start()
        kcat_produce(self.broker.port, "honest", ["first"])

    def peak_kib(self):
        with open("/proc/%d/status" % self.broker.process.pid, encoding="ascii") as status:
            return int(re.search(r"VmHWM:\s*(\d+)", status.read()).group(1))

    def storm(self, what, *neighbours):
        honest = Honest(self.broker.port)
        time.sleep(0.3)
        start = time.monotonic()
        time.sleep(BEFORE)
        begun = time.monotonic()
        cpu = self.broker.cpu_seconds()
        context = multiprocessing.get_context("fork")
        processes = []
        for neighbour in neighbours:
            done = context.Value("q", 0)
            process = context.Process(target=neighbour, args=(self.broker.port, done), daemon=True)
            process.start()
            processes.append((process, done))
        time.sleep(STORM)
        ended = time.monotonic()
        cpu = self.broker.cpu_seconds() - cpu
        open_in_storm = self.broker.status()["sessions"]["open"]
        for process, _ in processes:
            os.kill(process.pid, signal.SIGKILL)
            process.join()
        before, during = honest.p99_ms(start, begun), honest.p99_ms(begun, ended)
        calm = wait_for(lambda: self.broker.status()["sessions"]["open"] <= 4 and time.monotonic(), "the connections to go", 10)
        time.sleep(2)
        honest.running = False
        honest.join(PATIENCE)
        after = honest.p99_ms(calm, time.monotonic())
        status = self.broker.status()
        print("%s: %s done; p99 of an honest record %.1f ms before, %.1f ms during, %.1f ms after; %d connections then, %.1f s "
              "until they were gone; broker %.2f s of %.0f s, peak %d KiB" % (
                  what, " + ".join(str(done.value) for _, done in processes), before, during, after, open_in_storm,
                  calm - ended, cpu, ended - begun, self.peak_kib()))
        self.assertIsNone(honest.error)
        self.assertTrue(all(done.value > 0 for _, done in processes))
        self.assertEqual([status["byte_pool"][name] for name in ("request_bytes", "response_bytes", "small_bytes")], [0, 0, 0])
        self.assertEqual(status["sessions"]["parked_fetches"], 0)
        if not SANITIZED:
            # The aim is twice as much at most. Measured on two cores: 20 ms become 14 to 40 ms. Twenty busy processes
            # make a second of it by themselves, so what is judged is being held up for seconds.
            self.assertLess(during, max(4 * before, 2500))
            self.assertLess(after, max(4 * before, 1000))
            self.assertLess(self.peak_kib(), RSS_KIB_MAX)
        self.assertEqual(self.broker.stop(), 0, self.broker.log())
        return status

    def test_ten_thousand_connections_are_opened_and_closed_every_second(self):
        status = self.storm("connections", opens_and_closes, opens_and_closes)
        self.assertEqual(status["sessions"]["refused_total"], 0)
        self.assertLess(len(self.broker.log().splitlines()), 200)  # lines wear flash out, too

    def test_everything_is_fetched_and_read_at_a_byte_a_second(self):
        kcat_produce(self.broker.port, "big", ["%07d" % i + "x" * 4000 for i in range(4000)])
        self.storm("slow readers", read_slowly)

    def test_connections_are_left_half_open(self):
        self.storm("half-open", half_open)

    def test_fifty_members_join_and_leave_every_second(self):
        self.storm("rebalances", join_and_leave)


if __name__ == "__main__":
    unittest.main()
