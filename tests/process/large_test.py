"""One request that names ten thousand topics or offsets, to a broker with nothing else to do: nobody else's commits carry it along."""
import re
import struct
import unittest

from harness import PATIENCE, SANITIZED, Case, answer, connect, request, text

COUNT = 10_000
NAMES = ["plant-%05d" % number for number in range(COUNT)]
MANY = struct.pack(">i", COUNT)
RSS_KIB_MAX = 48 * 1024  # not asked of a sanitizer's build: it keeps what was freed


def each(rest):
    return MANY + b"".join(text(name) + rest for name in NAMES)


def create():  # v2
    return request(19, 2, 1, each(struct.pack(">ihii", 1, 1, 0, 0)) + struct.pack(">i", 60_000) + b"\0")


def delete():  # v1
    return request(20, 1, 2, each(b"") + struct.pack(">i", 60_000))


def commit(offset):  # v2, from outside the group
    return request(8, 2, 3, text("g") + struct.pack(">i", -1) + text("") + struct.pack(">q", -1) +
                   each(struct.pack(">iiq", 1, 0, offset) + text("")))


def positions():  # v1
    return request(9, 1, 4, text("g") + each(struct.pack(">ii", 1, 0)))


def create_lines(count):  # v2, one topic of so many partitions
    return request(19, 2, 1, struct.pack(">i", 1) + text("lines") + struct.pack(">ihii", count, 1, 0, 0) + struct.pack(">i", 60_000) + b"\0")


def commit_lines(offset, notes):  # v2, with a note for each partition
    partitions = b"".join(struct.pack(">iq", number, offset) + text(note) for number, note in enumerate(notes))
    return request(8, 2, 5, text("g") + struct.pack(">i", -1) + text("") + struct.pack(">q", -1) +
                   struct.pack(">i", 1) + text("lines") + struct.pack(">i", len(notes)) + partitions)


class Errors:
    """Walks over an answer; `errors` counts what it met."""

    def __init__(self, data, at):
        self.data, self.at, self.errors = data, at, {}

    def take(self, layout):
        values = struct.unpack_from(layout, self.data, self.at)
        self.at += struct.calcsize(layout)
        return values if len(values) > 1 else values[0]

    def string(self):
        size = max(self.take(">h"), 0)
        self.at += size
        return self.data[self.at - size:self.at].decode()

    def count(self, error):
        self.errors[error] = self.errors.get(error, 0) + 1


class Large(Case):
    def setUp(self):
        super().setUp()
        self.broker = self.leatd("--http", "off", budget="256MiB").start()

    def rss_peak_kib(self):
        with open("/proc/%d/status" % self.broker.process.pid, encoding="ascii") as status:
            return int(re.search(r"VmHWM:\s*(\d+)", status.read()).group(1))

    def topics(self, data, with_message):
        """{error: count} of a CreateTopics or DeleteTopics answer."""
        walk = Errors(data, 8)
        for _ in range(walk.take(">i")):
            walk.string()
            walk.count(walk.take(">h"))
            if with_message:
                walk.string()
        self.assertEqual(walk.at, len(data))
        return walk.errors

    def commits_to_lines(self, notes):
        """Commits them twice, each time another offset, and has them told as they were."""
        with connect(self.broker.port) as client:
            client.settimeout(PATIENCE)
            client.sendall(create_lines(len(notes)))
            self.assertEqual(self.topics(answer(client), True), {0: 1})
            for offset in (5, 6):
                client.sendall(commit_lines(offset, notes))
                told = answer(client)[-6 * len(notes):]
                self.assertEqual(struct.unpack(">%s" % ("ih" * len(notes)), told)[1::2], (0,) * len(notes))
            client.sendall(request(9, 1, 4, text("g") + struct.pack(">i", 1) + text("lines") +
                                   struct.pack(">i%di" % len(notes), len(notes), *range(len(notes)))))
            walk = Errors(answer(client), 4 + 4 + 7 + 4)
            for number, note in enumerate(notes):
                self.assertEqual(walk.take(">iq"), (number, 6))
                self.assertEqual(walk.string(), note)
                self.assertEqual(walk.take(">h"), 0)
            self.assertEqual(walk.at, len(walk.data))
        peak = self.rss_peak_kib()
        print("%d offsets with notes of %d bytes: peak %d KiB" % (len(notes), len(notes[-1]), peak))
        if not SANITIZED:
            self.assertLess(peak, RSS_KIB_MAX)
        self.assertEqual(self.broker.stop(), 0, self.broker.log())

    def test_thousands_of_offsets_are_committed_by_one_request(self):
        self.commits_to_lines(["line %d" % number for number in range(8_000)])

    def test_a_megabyte_of_metadata_is_committed_by_one_request(self):
        self.commits_to_lines(["%04d" % number * 1_000 for number in range(256)])  # each within offset.metadata.max.bytes

    def test_ten_thousand_topics_are_made_committed_to_and_deleted_by_one_request_each(self):
        with connect(self.broker.port) as client:
            client.settimeout(4 * PATIENCE)  # forty commits each, on whatever disk that is
            client.sendall(create())
            self.assertEqual(self.topics(answer(client), True), {0: COUNT})
            for offset in (5, 6):
                client.sendall(commit(offset))
                walk = Errors(answer(client), 4)
                for _ in range(walk.take(">i")):
                    walk.string()
                    for _ in range(walk.take(">i")):
                        walk.count(walk.take(">ih")[1])
                self.assertEqual(walk.errors, {0: COUNT})
            client.sendall(positions())
            walk = Errors(answer(client), 4)
            for _ in range(walk.take(">i")):
                walk.string()
                for _ in range(walk.take(">i")):
                    _, offset = walk.take(">iq")
                    walk.string()
                    walk.count((offset, walk.take(">h")))
            self.assertEqual(walk.errors, {(6, 0): COUNT})
            client.sendall(delete())
            self.assertEqual(self.topics(answer(client), False), {0: COUNT})
            client.sendall(delete())
            self.assertEqual(self.topics(answer(client), False), {3: COUNT})
        peak = self.rss_peak_kib()
        print("10,000 topics: peak %d KiB" % peak)
        if not SANITIZED:
            self.assertLess(peak, RSS_KIB_MAX)
        self.assertEqual(self.broker.stop(), 0, self.broker.log())


if __name__ == "__main__":
    unittest.main()
