"""Compressed batches are validated beside the loop: each producer's records stay in order, through a kill, at a stop."""
import json
import os
import subprocess
import threading
import unittest

from harness import PATIENCE, Case, kcat_consume, kcat_produce, wait_for

CODECS = ("gzip", "snappy", "lz4", "zstd", "none")
LINES = 3000


class Compressed(Case):
    def config(self, **settings):
        path = os.path.join(self.folder, "workers.json")
        with open(path, "w") as file:
            json.dump(settings, file)
        return path

    def threads(self, leatd):
        return len(os.listdir("/proc/%d/task" % leatd.process.pid))

    def lines(self, codec):
        return ["%s %06d %s" % (codec, i, "x" * 60) for i in range(LINES)]

    def check(self, threads):
        leatd = self.leatd("--http", "off", "--config", self.config(**{"worker.threads": threads})).start()
        at_rest = self.threads(leatd)
        kcat_produce(leatd.port, "plain", ["a"])
        self.assertEqual(self.threads(leatd), at_rest)  # nothing compressed: no thread for it
        failed = []

        def produce(codec):
            try:
                kcat_produce(leatd.port, "mixed", self.lines(codec), "compression.codec=" + codec,
                             "enable.idempotence=true", "linger.ms=2", "batch.num.messages=100")
            except AssertionError as why:
                failed.append(why)

        producers = [threading.Thread(target=produce, args=(codec,)) for codec in CODECS]
        for producer in producers:
            producer.start()
        for producer in producers:
            producer.join(PATIENCE)
        self.assertEqual(failed, [])
        more = self.threads(leatd) - at_rest
        self.assertLessEqual(more, threads)
        self.assertEqual(more > 0, threads > 0)
        found = kcat_consume(leatd.port, "mixed")
        self.assertEqual(len(found), LINES * len(CODECS))
        for codec in CODECS:
            self.assertEqual([line for line in found if line.startswith(codec)], self.lines(codec))
        return leatd

    def test_one_thread_beside_the_loop(self):
        self.assertEqual(self.check(1).stop(), 0)

    def test_several_threads(self):
        self.assertEqual(self.check(3).stop(), 0)

    def test_none(self):
        self.assertEqual(self.check(0).stop(), 0)

    def test_killed_and_stopped_under_compressed_load(self):
        leatd = self.leatd("--http", "off", "--config", self.config(**{"worker.threads": 2})).start()
        kcat_produce(leatd.port, "through", ["first"])
        command = ["kcat", "-b", "127.0.0.1:%d" % leatd.port, "-t", "through", "-p", "0", "-P", "-E", "-X", "acks=all",
                   "-X", "enable.idempotence=true", "-X", "linger.ms=1", "-X", "batch.num.messages=20", "-z", "gzip",
                   "-X", "reconnect.backoff.max.ms=200", "-X", "retry.backoff.ms=50"]
        producer = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(producer.kill)
        lines = ["%06d %s" % (i, "y" * 40) for i in range(20_000)]

        def feed():
            producer.stdin.write(("\n".join(lines) + "\n").encode())
            producer.stdin.close()

        feeder = threading.Thread(target=feed)
        feeder.start()
        for end in (leatd.kill, leatd.stop):
            before = len(kcat_consume(leatd.port, "through"))
            wait_for(lambda: len(kcat_consume(leatd.port, "through")) > before or producer.poll() is not None,
                     "records to come through")
            end()
            leatd.start()
        feeder.join(PATIENCE)
        self.assertEqual(producer.wait(PATIENCE), 0)
        self.assertEqual(kcat_consume(leatd.port, "through"), ["first"] + lines)


if __name__ == "__main__":
    unittest.main()
