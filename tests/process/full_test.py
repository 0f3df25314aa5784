"""A full flash as its users see it: telemetry has filled it, and alarms still land; nothing goes without being told."""
import os
import struct
import subprocess
import unittest

from harness import PATIENCE, Case, answer, connect, kcat_consume, kcat_produce, request, text, wait_for

INVALID_CONFIG = 40


def create(port, topic, **configs):
    """CreateTopics version 2; the error code and its text."""
    settings = struct.pack(">i", len(configs))
    for name, value in configs.items():
        settings += text(name.replace("_", ".")) + text(str(value))
    body = struct.pack(">i", 1) + text(topic) + struct.pack(">ihi", 1, 1, 0) + settings + struct.pack(">i?", 30000, False)
    with connect(port) as client:
        client.sendall(request(19, 2, 3, body))
        told = answer(client)
    at = 12 + 2 + len(topic)
    code, length = struct.unpack(">hh", told[at:at + 4])
    return code, told[at + 4:at + 4 + max(length, 0)].decode()


def lines_of(word, count, size):
    return ["%s-%05d-" % (word, i) + os.urandom(size // 2).hex() for i in range(count)]


def partition(status, topic):
    return next(t["partitions"][0] for t in status["topics"] if t["name"] == topic)


class Full(Case):
    def leatd_of(self, budget):
        leatd = self.leatd("--http", "127.0.0.1:0", budget=budget).start()
        return leatd

    def fill(self, leatd, topic, lines):
        """As many as find room; kcat gives up on the others."""
        command = ["kcat", "-b", "127.0.0.1:%d" % leatd.port, "-t", topic, "-p", "0", "-P", "-X", "acks=all",
                   "-X", "batch.size=30000", "-X", "message.timeout.ms=8000", "-X", "enable.idempotence=false"]
        done = subprocess.run(command, input="".join(line + "\n" for line in lines).encode(), stderr=subprocess.PIPE, timeout=3 * PATIENCE)
        return done.returncode

    def test_alarms_with_a_reservation_land_when_telemetry_that_rejects_has_filled_it(self):
        leatd = self.leatd_of("4MiB")
        code, message = create(leatd.port, "greedy", leat_reserved_bytes=3 << 20)
        self.assertEqual(code, INVALID_CONFIG)
        self.assertIn("70 % of the log", message)
        self.assertEqual(create(leatd.port, "telemetry", leat_full_policy="reject")[0], 0)
        self.assertEqual(create(leatd.port, "alarms", leat_full_policy="reject", leat_priority=10, leat_reserved_bytes=256 << 10)[0], 0)
        self.fill(leatd, "telemetry", lines_of("telemetry", 400, 14000))
        status = leatd.status()
        self.assertGreater(status["log"]["append_rejected_full_total"], 0)
        self.assertGreaterEqual(status["log"]["segments_free"], status["log"]["segments_kept"])
        self.assertEqual(status["log"]["reserved_bytes"], 256 << 10)
        self.assertGreater(status["produce"]["throttled_total"], 3)
        self.assertGreater(status["produce"]["throttle_ms"], 300)
        self.assertIn("the log is full", leatd.log())
        telemetry = partition(status, "telemetry")["log_end"]
        self.assertGreater(telemetry, 100)

        alarms = lines_of("alarm", 200, 200)
        # Each on its own: a page of 4096 bytes of flash for each of them, five times the reservation with all of them.
        alone = ("batch.num.messages=1", "max.in.flight=1", "message.timeout.ms=60000")
        kcat_produce(leatd.port, "alarms", alarms, *alone)
        self.assertEqual(kcat_consume(leatd.port, "alarms"), alarms)
        leatd.kill()
        leatd.start()
        kcat_produce(leatd.port, "alarms", lines_of("more", 50, 200), *alone)
        self.assertEqual(kcat_consume(leatd.port, "alarms")[:200], alarms)
        self.assertEqual(len(kcat_consume(leatd.port, "alarms")), 250)

        status = leatd.status()
        self.assertEqual(status["log"]["dropped_records_total"], 0)
        self.assertEqual(partition(status, "telemetry")["log_start"], 0)
        self.assertGreaterEqual(partition(status, "telemetry")["log_end"], telemetry)

    def test_telemetry_that_says_nothing_goes_before_alarms_and_the_ledger_tells_what_went(self):
        leatd = self.leatd_of("4MiB")
        self.assertEqual(create(leatd.port, "telemetry")[0], 0)
        self.assertEqual(create(leatd.port, "alarms", leat_priority=10)[0], 0)
        alarms = lines_of("alarm", 40, 200)
        kcat_produce(leatd.port, "alarms", alarms[:20])
        lines = lines_of("telemetry", 600, 14000)  # twice what it holds
        # Idempotent: what is refused for a moment comes again, and without that behind what came after it.
        kcat_produce(leatd.port, "telemetry", lines, "batch.size=30000", "message.timeout.ms=60000", "enable.idempotence=true")
        kcat_produce(leatd.port, "alarms", alarms[20:])
        self.assertEqual(kcat_consume(leatd.port, "alarms"), alarms)
        start, kept = None, []
        while start != partition(leatd.status(), "telemetry")["log_start"]:  # room is still being made
            start = partition(leatd.status(), "telemetry")["log_start"]
            kept = kcat_consume(leatd.port, "telemetry")
        self.assertEqual(kept, lines[-len(kept):])
        self.assertGreater(len(kept), 100)
        status = leatd.status()
        books = partition(status, "telemetry")["books"]
        self.assertTrue(books["balanced"])
        self.assertEqual(books["lost"], len(lines) - len(kept))
        self.assertEqual({loss["reason"] for loss in books["losses"]}, {"dropped for room"})
        self.assertGreater(sum(loss["bytes"] for loss in books["losses"]), 14000 * (len(lines) - len(kept)) * 9 // 10)
        self.assertEqual(partition(status, "alarms")["books"]["lost"], 0)
        self.assertEqual(status["log"]["dropped_records_total"], books["lost"])
        self.assertEqual(status["produce"]["throttled_total"], 0)
        wait_for(lambda: "records were dropped for room" in leatd.log(), "the line about what was dropped")


if __name__ == "__main__":
    unittest.main()
