"""Frames of the size that is allowed, full of the tiniest elements that each API's layout has: what leatd takes for them stays within the
bound that its README tells, for eight connections at once. An API that is served and not in the table fails the test."""
import re
import struct
import threading
import unittest

from harness import SANITIZED, Case, answer, connect, request, text

FRAME = 8 * 1024 * 1024 - 64  # socket.request.max.bytes
ELEMENTS_MAX = 65_536  # of requests at work, together
RSS_KIB_MAX = 40 * 1024  # at rest 5 MiB, the pool 4, a frame 8, and one answer with what it is made of
# CreateTopics tells all settings of each topic up to 20 MiB, which are there twice while the answer is put together.
RSS_KIB_MAX_OF = {19: 72 * 1024}
CONNECTIONS = 8  # at once; of frames of 8 MiB, which are read one after the other, a few
EMPTY, NULL, TAGS = b"\1", b"\0", b"\0"  # of compact strings and arrays
I32 = b"\0\0\0\0"
DIGITS = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"


def varint(value):
    out = b""
    while value > 0x7f:
        out += bytes([value & 0x7f | 0x80])
        value >>= 7
    return out + bytes([value])


def some(element):
    """Always the same one."""
    return lambda count: element * count


def named(rest=b"", front=b""):
    """Each with a name of its own: what is named twice may be told once."""
    return lambda count: b"".join(front + b"\5" + bytes([DIGITS[i >> 18], DIGITS[i >> 12 & 63], DIGITS[i >> 6 & 63], DIGITS[i & 63]]) + rest for i in range(count))


def listed(count, compact):
    return varint(count + 1) if compact else struct.pack(">i", count)


class Bomb:
    """A request of one long array: `head`, the array of what `elements` makes, `tail`."""

    def __init__(self, version, head, elements, tail=b"", compact=True, answered=True):
        self.version, self.head, self.elements, self.tail, self.compact = version, head, elements, tail, compact
        self.answered = answered  # where they are not too many

    def body(self, count):
        return (TAGS if self.compact else b"") + self.head + listed(count, self.compact) + self.elements(count) + self.tail

    def frames(self, key):
        """The largest, and the largest whose elements are not too many."""
        each = len(self.elements(64)) / 64
        for count in sorted({int(FRAME / each) - 64, ELEMENTS_MAX - 8}, reverse=True):
            if count * each < FRAME:
                yield count, request(key, self.version, 7, self.body(count), "")


ONE = b"\2"  # an array of one element, which follows
X = b"\2x"
TOPIC = some(EMPTY + EMPTY + TAGS)
OWN_TOPIC = named(EMPTY + TAGS)
OF_X = ONE + X  # one topic, whose partitions are many
COMMIT = EMPTY + I32 + EMPTY + NULL
GROUP = X + I32 + X + NULL
FETCH = I32 * 4 + b"\0" + I32 + b"\xff" * 4
BEAT = X + EMPTY + I32 + NULL + NULL + I32
BOMBS = {
    0: [Bomb(9, NULL + b"\xff\xff" + I32 + OF_X, some(I32 + NULL + TAGS), TAGS * 2), Bomb(9, NULL + b"\xff\xff" + I32, TOPIC, TAGS)],
    # Of what a fetch names there may be fewer.
    1: [Bomb(12, FETCH, TOPIC, EMPTY + EMPTY + TAGS, answered=False), Bomb(12, FETCH + EMPTY, TOPIC, EMPTY + TAGS),
        Bomb(12, FETCH + OF_X, some(I32 * 8 + TAGS), TAGS + EMPTY + EMPTY + TAGS, answered=False)],
    2: [Bomb(6, I32 + b"\0" + OF_X, some(I32 * 4 + TAGS), TAGS * 2), Bomb(6, I32 + b"\0", TOPIC, TAGS)],
    3: [Bomb(9, b"", some(EMPTY + TAGS), b"\0\0\0" + TAGS), Bomb(9, b"", named(TAGS), b"\0\0\0" + TAGS)],
    8: [Bomb(8, COMMIT + OF_X, some(I32 * 4 + NULL + TAGS), TAGS * 2), Bomb(8, COMMIT, TOPIC, TAGS)],
    9: [Bomb(8, b"", named(NULL + TAGS), b"\0" + TAGS), Bomb(8, ONE + X, TOPIC, TAGS + b"\0" + TAGS),
        Bomb(8, ONE + X + OF_X, some(I32), TAGS + TAGS + b"\0" + TAGS)],
    10: [Bomb(4, b"\0", some(EMPTY), TAGS), Bomb(4, b"\1", some(EMPTY), TAGS)],
    11: [Bomb(6, X + I32 * 2 + EMPTY + NULL + X, some(EMPTY + EMPTY + TAGS), TAGS), Bomb(6, X + I32 * 2 + EMPTY + NULL + X, named(EMPTY + TAGS), TAGS)],
    13: [Bomb(4, X, some(EMPTY + NULL + TAGS), TAGS)],
    14: [Bomb(4, GROUP, some(EMPTY + EMPTY + TAGS), TAGS), Bomb(4, GROUP, named(EMPTY + TAGS), TAGS)],
    15: [Bomb(6, b"", some(EMPTY), b"\0" + TAGS), Bomb(6, b"", named(), b"\0" + TAGS)],
    16: [Bomb(5, b"", some(EMPTY), EMPTY + TAGS), Bomb(5, EMPTY, named(), TAGS)],
    19: [Bomb(7, b"", named(b"\xff" * 6 + EMPTY + EMPTY + TAGS), I32 + b"\1" + TAGS),
         Bomb(7, b"", named(I32 + b"\0\0" + EMPTY + EMPTY + TAGS), I32 + b"\1" + TAGS),
         Bomb(7, ONE + X + b"\xff" * 6 + EMPTY, some(EMPTY + NULL + TAGS), TAGS + I32 + b"\1" + TAGS),
         Bomb(7, ONE + X + b"\xff" * 6, some(I32 + EMPTY + TAGS), EMPTY + TAGS + I32 + b"\1" + TAGS)],
    20: [Bomb(5, b"", some(EMPTY), I32 + TAGS), Bomb(5, b"", named(), I32 + TAGS)],
    21: [Bomb(2, OF_X, some(I32 * 3 + TAGS), TAGS + I32 + TAGS), Bomb(2, b"", TOPIC, I32 + TAGS)],
    23: [Bomb(4, I32 + OF_X, some(I32 * 3 + TAGS), TAGS * 2), Bomb(4, I32, TOPIC, TAGS)],
    30: [Bomb(2, b"", some(b"\2" + EMPTY + b"\3" + EMPTY + EMPTY + b"\2\3" + TAGS), TAGS)],
    31: [Bomb(2, b"", some(b"\2" + NULL + b"\3" + NULL + NULL + b"\2\3" + TAGS), TAGS)],
    32: [Bomb(4, b"", some(b"\2" + EMPTY + NULL + TAGS), b"\1\1" + TAGS), Bomb(4, b"", some(b"\x20" + X + NULL + TAGS), b"\1\1" + TAGS, answered=False),
         Bomb(4, b"", some(b"\4" + EMPTY + NULL + TAGS), b"\1\1" + TAGS), Bomb(4, ONE + b"\4\0020", some(EMPTY), TAGS + b"\1\1" + TAGS)],
    33: [Bomb(2, b"", some(b"\2" + EMPTY + EMPTY + TAGS), b"\1" + TAGS), Bomb(2, b"", named(EMPTY + TAGS, b"\2"), b"\1" + TAGS),
         Bomb(2, ONE + b"\2" + X, some(EMPTY + EMPTY + TAGS), TAGS + b"\1" + TAGS)],
    35: [Bomb(2, OF_X, some(I32), TAGS * 2), Bomb(2, b"", TOPIC, TAGS)],
    37: [Bomb(2, b"", named(I32 + NULL + TAGS), I32 + b"\1" + TAGS), Bomb(2, ONE + X + I32, some(EMPTY + TAGS), TAGS + I32 + b"\1" + TAGS)],
    42: [Bomb(2, b"", some(EMPTY), TAGS), Bomb(2, b"", named(), TAGS)],
    43: [Bomb(2, b"\0", TOPIC, I32 + TAGS), Bomb(2, b"\0", OWN_TOPIC, I32 + TAGS), Bomb(2, b"\0" + OF_X, some(I32), TAGS + I32 + TAGS)],
    44: [Bomb(1, b"", some(b"\2" + EMPTY + EMPTY + TAGS), b"\1" + TAGS), Bomb(1, ONE + b"\2" + X, named(b"\0" + EMPTY + TAGS), TAGS + b"\1" + TAGS)],
    45: [Bomb(0, I32, TOPIC, TAGS), Bomb(0, I32, OWN_TOPIC, TAGS), Bomb(0, I32 + OF_X, some(I32 + EMPTY + TAGS), TAGS * 2),
         Bomb(0, I32 + OF_X + ONE + I32, some(I32), TAGS * 3)],
    46: [Bomb(0, I32, TOPIC, TAGS), Bomb(0, I32 + OF_X, some(I32), TAGS * 2)],
    47: [Bomb(0, text("x"), some(b"\0\0" + I32), compact=False), Bomb(0, text("x") + struct.pack(">i", 1) + text("x"), some(I32), compact=False)],
    48: [Bomb(1, b"", some(X + b"\2" + NULL + TAGS), b"\0" + TAGS)],
    49: [Bomb(1, b"", some(EMPTY + EMPTY + TAGS), b"\1" + TAGS), Bomb(1, ONE, some(X + NULL + TAGS), EMPTY + TAGS + b"\1" + TAGS),
         Bomb(1, ONE + ONE + X + NULL + TAGS, some(X + bytes(9) + TAGS), TAGS + b"\1" + TAGS)],
    50: [Bomb(0, b"", some(EMPTY + TAGS), TAGS), Bomb(0, b"", named(TAGS), TAGS)],
    55: [Bomb(0, b"", TOPIC, TAGS), Bomb(0, OF_X, some(I32 + TAGS), TAGS * 2)],
    57: [Bomb(1, I32, some(EMPTY + b"\0\0\1" + TAGS), b"\1" + TAGS), Bomb(1, I32, named(b"\0\0\1" + TAGS), b"\1" + TAGS)],
    61: [Bomb(0, b"", TOPIC, TAGS), Bomb(0, OF_X, lambda n: struct.pack(">%di" % n, *range(n)), TAGS * 2)],
    68: [Bomb(0, BEAT, some(EMPTY), NULL + NULL + TAGS), Bomb(0, BEAT + NULL + NULL, some(bytes(16) + EMPTY + TAGS), TAGS),
         Bomb(0, BEAT + NULL + NULL + ONE + bytes(16), some(I32), TAGS * 2)],
    69: [Bomb(1, b"", some(EMPTY), b"\0" + TAGS), Bomb(1, b"", named(), b"\0" + TAGS)],
    74: [Bomb(1, b"", some(b"\2"), TAGS)],
    75: [Bomb(0, b"", some(EMPTY + TAGS), struct.pack(">i", 2000) + b"\xff" + TAGS), Bomb(0, b"", named(TAGS), struct.pack(">i", 2000) + b"\xff" + TAGS)],
}
WITHOUT_ARRAYS = {12, 17, 18, 22, 29, 36, 60}


class Tiny(Case):
    def setUp(self):
        super().setUp()
        self.broker = self.leatd("--http", "off").start()

    def peak_kib(self):
        with open("/proc/%d/status" % self.broker.process.pid, encoding="ascii") as status:
            return int(re.search(r"VmHWM:\s*(\d+)", status.read()).group(1))

    def forget_peak(self):
        with open("/proc/%d/clear_refs" % self.broker.process.pid, "w", encoding="ascii") as refs:
            refs.write("5")

    def ask(self, frame, told):
        try:
            with connect(self.broker.port) as client:
                client.sendall(frame)
                told.append(len(answer(client)))
        except (ConnectionError, BrokenPipeError):
            told.append(None)  # hung up on

    def test_the_table_has_every_api_that_is_served(self):
        with connect(self.broker.port) as client:
            client.sendall(request(18, 0, 1))
            keys = [row[0] for row in struct.iter_unpack(">hhh", answer(client)[10:])]
        self.assertEqual(sorted(BOMBS.keys() | WITHOUT_ARRAYS), sorted(keys))

    def test_the_tiniest_elements_do_not_take_more_than_one_answer(self):
        worst = 0
        for key in sorted(BOMBS, key=lambda one: one in RSS_KIB_MAX_OF):  # not all of it is given back at once
            for number, bomb in enumerate(BOMBS[key]):
                for count, frame in bomb.frames(key):
                    self.forget_peak()
                    told = []
                    # 65,528 positions take 0.4 s, and with a sanitizer up to 13.
                    many = 3 if count > ELEMENTS_MAX else 2 if SANITIZED else CONNECTIONS
                    crowd = [threading.Thread(target=self.ask, args=(frame, told)) for _ in range(many)]
                    for one in crowd:
                        one.start()
                    for one in crowd:
                        one.join()
                    peak = self.peak_kib()
                    worst = max(worst, peak)
                    print("key %d.%d: %d elements in %d bytes: %s answered, peak %d KiB" %
                          (key, number, count, len(frame), [size for size in told if size is not None], peak), flush=True)
                    self.assertTrue(self.broker.alive(), self.broker.log())
                    self.assertEqual(any(told), bomb.answered and count <= ELEMENTS_MAX, "key %d.%d with %d elements" % (key, number, count))
                    if not SANITIZED:
                        self.assertLess(peak, RSS_KIB_MAX_OF.get(key, RSS_KIB_MAX), "key %d.%d with %d elements" % (key, number, count))
        print("worst peak %d KiB" % worst)
        self.assertEqual(self.broker.stop(), 0, self.broker.log())


if __name__ == "__main__":
    unittest.main()
