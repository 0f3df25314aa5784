"""What a fetch session (KIP-227) saves one consumer of a thousand idle partitions: bytes on the wire, and the broker's time."""
import json
import os
import struct
import unittest

from harness import SANITIZED, Case, answer, connect, request, text

PARTITIONS = 1000
POLLS = 200


def create_topic(port, topic, partitions):
    one = text(topic) + struct.pack(">ihii", partitions, 1, 0, 0)
    with connect(port) as client:
        client.sendall(request(19, 2, 3, struct.pack(">i", 1) + one + struct.pack(">i?", 20_000, False)))
        told = answer(client)
    error = struct.unpack(">h", told[8 + 4 + 2 + len(topic):][:2])[0]
    assert error == 0, error


def fetch7(session_id, epoch, topic, partitions, wait_ms):
    asked = b"".join(struct.pack(">iqqi", partition, 0, -1, 1 << 20) for partition in partitions)
    topics = struct.pack(">i", 1) + text(topic) + struct.pack(">i", len(partitions)) + asked if partitions else struct.pack(">i", 0)
    return request(1, 7, 9, struct.pack(">iiiibii", -1, wait_ms, 1, 1 << 20, 0, session_id, epoch) + topics + struct.pack(">i", 0))


class FetchSession(Case):
    def polls(self, leatd, sessions):
        """(bytes, broker seconds) of one poll that waits 5 ms and finds nothing, and what the first one took."""
        everything = range(PARTITIONS)
        with connect(leatd.port) as client:
            session_id, epoch, total, first = 0, 0 if sessions else -1, 0, 0
            for poll in range(POLLS + 1):
                if poll == 1:
                    began = leatd.cpu_seconds()
                asked = fetch7(session_id, epoch, "wide", everything if session_id == 0 else [], 5)
                client.sendall(asked)
                told = answer(client)
                correlation_id, _, error, session_id, topics = struct.unpack(">iihii", told[:18])
                self.assertEqual((correlation_id, error), (9, 0))
                self.assertEqual(session_id != 0, sessions)
                self.assertEqual(topics, 0 if sessions and poll > 0 else 1)
                if sessions:
                    epoch += 1
                size = len(asked) + 4 + len(told)
                if poll == 0:
                    first = size
                else:
                    total += size
            return total / POLLS, (leatd.cpu_seconds() - began) / POLLS, first

    def test_a_thousand_idle_partitions_cost_next_to_nothing(self):
        leatd = self.leatd("--http", "127.0.0.1:0", budget="64MiB").start()
        create_topic(leatd.port, "wide", PARTITIONS)
        plain, plain_cpu, _ = self.polls(leatd, sessions=False)
        small, small_cpu, first = self.polls(leatd, sessions=True)
        print("one poll of %d idle partitions: %.0f B and %.0f us of the broker without a session, %.0f B and %.0f us in one "
              "(its first: %d B)" % (PARTITIONS, plain, plain_cpu * 1e6, small, small_cpu * 1e6, first))
        status = leatd.status()["fetch_sessions"]
        print("the session takes %d B" % status["bytes"])
        self.assertEqual((status["open"], status["partitions"], status["opened_total"]), (1, PARTITIONS, 1))
        self.assertLess(status["bytes"], 70 * PARTITIONS)
        self.assertLess(small, 150)
        self.assertGreater(plain, 40_000)
        if not SANITIZED:
            self.assertLess(small_cpu, plain_cpu)
        self.assertEqual(leatd.stop(), 0)

    def test_a_broker_that_is_told_to_give_none(self):
        path = os.path.join(self.folder, "none.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"fetch.session.bytes": 0}, file)
        leatd = self.leatd("--http", "127.0.0.1:0", "--config", path).start()
        create_topic(leatd.port, "wide", 2)
        with connect(leatd.port) as client:
            client.sendall(fetch7(0, 0, "wide", range(2), 0))
            self.assertEqual(struct.unpack(">iihi", answer(client)[:14]), (9, 0, 0, 0))
        self.assertEqual(leatd.status()["fetch_sessions"]["declined_total"], 1)


if __name__ == "__main__":
    unittest.main()
