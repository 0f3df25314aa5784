"""One request that commits thousands of offsets, to a broker that has nothing else to do: nobody else's commits carry it along."""
import struct
import unittest

from harness import PATIENCE, Case, answer, connect, request, text

COUNT = 8_000
MANY = struct.pack(">i", COUNT)


def create():  # v2
    return request(19, 2, 1, struct.pack(">i", 1) + text("plant") + struct.pack(">ihii", COUNT, 1, 0, 0) + struct.pack(">i", 60_000) + b"\0")


def commit(offset):  # v2, from outside the group
    partitions = b"".join(struct.pack(">iq", number, offset) + text("line %d" % number) for number in range(COUNT))
    return request(8, 2, 3, text("g") + struct.pack(">i", -1) + text("") + struct.pack(">q", -1) +
                   struct.pack(">i", 1) + text("plant") + MANY + partitions)


def positions():  # v1
    return request(9, 1, 4, text("g") + struct.pack(">i", 1) + text("plant") + MANY + struct.pack(">%di" % COUNT, *range(COUNT)))


class Large(Case):
    def test_thousands_of_offsets_are_committed_by_one_request(self):
        broker = self.leatd(budget="256MiB").start()
        with connect(broker.port) as client:
            client.settimeout(PATIENCE)
            client.sendall(create())
            self.assertEqual(answer(client)[19:21], b"\0\0")  # correlation id, throttle time, one topic, its name, its error
            for offset in (5, 6):
                client.sendall(commit(offset))
                told = answer(client)
                self.assertEqual(struct.unpack(">%s" % ("ih" * COUNT), told[-6 * COUNT:])[1::2], (0,) * COUNT)
            client.sendall(positions())
            told, at = answer(client), 4 + 4 + 7 + 4
            for number in range(COUNT):
                size = struct.unpack_from(">h", told, at + 12)[0]
                self.assertEqual(struct.unpack_from(">iq", told, at), (number, 6))
                at += 14 + size + 2
            self.assertEqual(at, len(told))
        self.assertEqual(broker.stop(), 0, broker.log())


if __name__ == "__main__":
    unittest.main()
