"""A budget that becomes smaller, and larger again: the file follows, and what is within retention comes back."""
import os
import subprocess
import unittest

from full_test import create, lines_of, partition
from harness import LEATD, PATIENCE, Case, kcat_consume, kcat_produce, wait_for

MIB = 1 << 20


class Budget(Case):
    def leatd_of(self, budget):
        """Segments of 256 KiB: with those that it would choose, half of this is as small as a log can be."""
        path = os.path.join(self.folder, "leatd.json")
        with open(path, "w") as file:
            file.write('{"log.segment.bytes": "256KiB", "message.max.bytes": "128KiB"}')
        return self.leatd("--http", "127.0.0.1:0", "--config", path, budget=budget).start()

    def size(self, leatd):
        return os.path.getsize(os.path.join(leatd.data, "leat.log"))

    def restart(self, leatd, budget):
        self.assertEqual(leatd.stop(), 0)
        leatd.budget = budget
        return leatd.start()

    def verify(self, leatd):
        done = subprocess.run([LEATD, "log", "verify", leatd.data], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, 0, done.stdout.decode())

    def settled(self, leatd, mib):
        wait_for(lambda: self.size(leatd) <= mib * MIB and leatd.status()["log"]["shrinking"] == "no", "a file of %d MiB" % mib)
        log = leatd.status()["log"]
        self.assertLessEqual(log["pool_bytes"], mib * MIB)
        self.assertEqual(log["segments"], log["segments_target"])
        self.assertLessEqual(log["used_bytes"], log["budget_bytes"])

    def test_the_file_shrinks_and_every_record_that_fits_comes_back(self):
        leatd = self.leatd_of("16MiB")
        self.assertEqual(create(leatd.port, "old", retention_bytes=1 << 20)[0], 0)
        self.assertEqual(create(leatd.port, "kept", leat_full_policy="reject")[0], 0)
        old, kept = lines_of("old", 700, 14000), lines_of("kept", 200, 14000)
        kcat_produce(leatd.port, "old", old, "batch.size=30000")  # 10 MB, then ...
        kcat_produce(leatd.port, "kept", kept, "batch.size=30000")  # ... 3 MB of what may not go
        self.assertEqual(self.size(leatd), 16 * MIB)
        self.restart(leatd, "8MiB")
        self.assertEqual(kcat_consume(leatd.port, "kept"), kept)  # at once, while it shrinks
        self.settled(leatd, 8)
        self.assertIn("the log is as small as its budget now", leatd.log())
        self.assertEqual(kcat_consume(leatd.port, "kept"), kept)
        rest = kcat_consume(leatd.port, "old")
        self.assertEqual(rest, old[-len(rest):])
        self.assertGreaterEqual(sum(map(len, rest)), 1 << 20)  # retention.bytes
        more = lines_of("more", 20, 14000)
        kcat_produce(leatd.port, "kept", more, "batch.size=30000")
        leatd.kill()
        self.verify(leatd)
        leatd.start()
        self.assertEqual(kcat_consume(leatd.port, "kept"), kept + more)
        self.assertEqual(leatd.status()["log"]["shrinking"], "no")
        self.assertEqual(leatd.status()["log"]["dropped_records_total"], 0)
        self.assertEqual(partition(leatd.status(), "kept")["log_start"], 0)

        # And larger again: the file takes it at the start.
        self.restart(leatd, "16MiB")
        self.assertEqual(self.size(leatd), 16 * MIB)
        self.assertEqual(leatd.status()["log"]["segments"], 16 * MIB // leatd.status()["log"]["segment_bytes"] - 1)
        again = lines_of("again", 400, 14000)
        kcat_produce(leatd.port, "kept", again, "batch.size=30000")
        self.assertEqual(kcat_consume(leatd.port, "kept"), kept + more + again)
        leatd.kill()
        self.verify(leatd)

    def test_what_may_not_be_dropped_stays_and_it_says_so(self):
        leatd = self.leatd_of("16MiB")
        self.assertEqual(create(leatd.port, "kept", leat_full_policy="reject")[0], 0)
        kept = lines_of("kept", 800, 14000)
        kcat_produce(leatd.port, "kept", kept, "batch.size=30000")
        self.restart(leatd, "8MiB")
        wait_for(lambda: leatd.status()["log"]["shrinking"] == "waiting", "the status to say that it waits")
        self.assertIn("the log stays larger than its budget", leatd.log())
        self.assertIn("leat_log_shrinking_waits 1", leatd.get("/metrics").splitlines())
        self.assertEqual(kcat_consume(leatd.port, "kept"), kept)
        self.assertGreater(self.size(leatd), 11 * MIB)
        # Sooner or later somebody deletes it, or the uplink has it.
        leatd.kill()
        self.verify(leatd)

    def test_kills_while_it_shrinks_cost_nothing(self):
        leatd = self.leatd_of("32MiB")
        self.assertEqual(create(leatd.port, "old", retention_bytes=1 << 20)[0], 0)
        self.assertEqual(create(leatd.port, "kept", leat_full_policy="reject")[0], 0)
        kept = lines_of("kept", 300, 14000)
        kcat_produce(leatd.port, "old", lines_of("old", 1200, 14000), "batch.size=30000")
        kcat_produce(leatd.port, "kept", kept, "batch.size=30000")
        self.assertEqual(leatd.stop(), 0)
        leatd.budget = "12MiB"
        for i in range(12):
            leatd.start()
            moved = leatd.status()["log"]["moved_bytes_total"]
            wait_for(lambda: leatd.status()["log"]["moved_bytes_total"] > moved or leatd.status()["log"]["shrinking"] == "no", "a segment to move")
            leatd.kill()
            self.verify(leatd)
        leatd.start()
        self.settled(leatd, 12)
        self.assertEqual(kcat_consume(leatd.port, "kept"), kept)

    def test_the_smallest_log_takes_every_kind_of_topic_turn_after_turn(self):
        """1 MiB in all: 15 segments of 64 KiB. Each kcat is a producer of its own."""
        leatd = self.leatd("--http", "127.0.0.1:0", budget="1MiB").start()
        self.assertEqual(self.size(leatd), MIB)
        self.assertEqual(create(leatd.port, "alarms", leat_full_policy="reject", leat_priority=10, leat_reserved_bytes=64 << 10)[0], 0)
        self.assertEqual(create(leatd.port, "state", cleanup_policy="compact")[0], 0)
        self.assertEqual(create(leatd.port, "aged", retention_bytes=100_000)[0], 0)
        sent, newest = {"telemetry": [], "alarms": [], "aged": []}, {}

        def put(topic, lines, *more):
            kcat_produce(leatd.port, topic, lines, "batch.size=15000", "enable.idempotence=true", *more)
            sent[topic] += lines

        def kcat_of_state(*more, given=""):
            command = ["kcat", "-b", "127.0.0.1:%d" % leatd.port, "-t", "state", "-p", "0"] + list(more)
            return subprocess.run(command, input=given.encode(), stdout=subprocess.PIPE, check=True, timeout=PATIENCE).stdout.decode()

        for life in range(5):
            for i in range(7):
                put("telemetry", lines_of("telemetry", 20, 4000))
                put("alarms", lines_of("alarm", 1, 300))
                update = {"key-%d" % k: "%d-%d-%s" % (life, i, os.urandom(100).hex()) for k in range(i, i + 5)}
                newest.update(update)
                kcat_of_state("-P", "-K", ":", "-X", "acks=all", given="".join("%s:%s\n" % pair for pair in update.items()))
                put("aged", lines_of("aged", 2, 4000))
            if life % 2:
                self.assertEqual(leatd.stop(), 0)
            else:
                leatd.kill()
            self.verify(leatd)
            leatd.start()
        self.assertEqual(self.size(leatd), MIB)
        self.assertEqual(kcat_consume(leatd.port, "alarms"), sent["alarms"])
        self.assertEqual(dict(line.split(":") for line in kcat_of_state("-C", "-e", "-q", "-o", "beginning", "-f", "%k:%s\\n").splitlines()), newest)
        for topic in "telemetry", "aged":  # the newest, as many as fit beside what may not be dropped
            rest = kcat_consume(leatd.port, topic)
            self.assertEqual(rest, sent[topic][len(sent[topic]) - len(rest):], topic)
        status = leatd.status()
        for topic in status["topics"]:
            self.assertTrue(topic["partitions"][0]["books"]["balanced"], topic)
        self.assertEqual(status["log"]["page_bytes"], 4096)

    def test_a_page_size_that_the_log_was_not_made_with_is_told(self):
        leatd = self.leatd("--http", "off", budget="2MiB").start()
        self.assertEqual(leatd.stop(), 0)
        path = os.path.join(self.folder, "paranoid.json")
        with open(path, "w") as file:
            file.write('{"log.page.bytes": 16384}')
        leatd.flags += ["--config", path]
        leatd.start()
        self.assertIn("log.page.bytes is 16384, but this log was made with 4096 and keeps it", leatd.log())


if __name__ == "__main__":
    unittest.main()
