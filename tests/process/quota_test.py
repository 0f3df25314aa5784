"""Quotas as a real client feels them: librdkafka's producer and consumer run at about the rate that was set, before and
after the process was killed."""
import os
import struct
import subprocess
import time
import unittest

from harness import PATIENCE, SANITIZED, Case, answer, connect, kcat_produce, request, text

RATE = 100_000  # bytes per second


def alter_quota(port, client_id, key, value):
    entity = struct.pack(">i", 1) + text("client-id") + text(client_id)
    change = struct.pack(">i", 1) + text(key) + struct.pack(">d?", value, value == 0)
    with connect(port) as client:
        client.sendall(request(49, 0, 5, struct.pack(">i", 1) + entity + change + b"\0", client_id="admin"))
        told = answer(client)
    correlation_id, throttle, entries, error = struct.unpack(">iiih", told[:14])
    assert (correlation_id, throttle, entries, error) == (5, 0, 1, 0), told


def produce_seconds(port, topic, client_id, lines):
    began = time.monotonic()
    kcat_produce(port, topic, lines, "client.id=" + client_id, "batch.size=20000", "linger.ms=5", "enable.idempotence=true")
    return time.monotonic() - began


class Quota(Case):
    def test_producers_and_consumers_run_at_their_quota(self):
        leatd = self.leatd("--http", "127.0.0.1:0").start()
        lines = [os.urandom(490).hex() for _ in range(700)]  # 700 kB and their frames
        free = produce_seconds(leatd.port, "free", "pump", lines)
        alter_quota(leatd.port, "pump", "producer_byte_rate", RATE)
        self.judge("producer", produce_seconds(leatd.port, "bound", "pump", lines), free)
        other = produce_seconds(leatd.port, "other", "mill", lines)
        self.assertLess(other, free + 3)  # another client id is not held up

        leatd.kill()
        leatd.start()
        self.assertEqual(leatd.status()["quotas"]["entities"], 1)
        self.judge("producer after SIGKILL", produce_seconds(leatd.port, "again", "pump", lines), free)
        self.assertGreater(leatd.status()["quotas"]["throttled_total"], 5)

        alter_quota(leatd.port, "pump", "producer_byte_rate", 0)
        alter_quota(leatd.port, "mill", "consumer_byte_rate", RATE)
        began = time.monotonic()
        read = subprocess.run(["kcat", "-b", "127.0.0.1:%d" % leatd.port, "-t", "bound", "-p", "0", "-C", "-e", "-q", "-o", "beginning",
                               "-X", "client.id=mill", "-X", "fetch.message.max.bytes=20000"],
                              stdout=subprocess.PIPE, check=True, timeout=PATIENCE).stdout.decode().splitlines()
        self.assertEqual(read, lines)
        self.judge("consumer", time.monotonic() - began, 0)

    def judge(self, what, seconds, free):
        """One second's worth may be taken at once, and nobody waits for the last request's debt."""
        total = 700 * 990
        print("%s: %d B in %.2f s (%.2f s without) where %d B/s are set" % (what, total, seconds, free, RATE))
        self.assertGreater(seconds, (total - 2 * RATE - 50_000) / RATE)
        if not SANITIZED:
            self.assertLess(seconds, total / RATE * 1.15 + free + 1)


if __name__ == "__main__":
    unittest.main()
