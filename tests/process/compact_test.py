"""A compacted topic through the process: a reader gets the newest value of every key, and the log does not fill up."""
import random
import struct
import subprocess
import unittest

from harness import LEATD, PATIENCE, Case, answer, connect, request, text, wait_for

KEYS = 200
ROUNDS = 60


def create_compacted(port, topic):
    config = text("cleanup.policy") + text("compact")
    one = text(topic) + struct.pack(">ihii", 1, 1, 0, 1) + config
    with connect(port) as client:
        client.sendall(request(19, 2, 3, struct.pack(">i", 1) + one + struct.pack(">i?", 20_000, False)))
        told = answer(client)
    error = struct.unpack(">h", told[8 + 4 + 2 + len(topic):][:2])[0]
    assert error == 0, error


class Compact(Case):
    def counter(self, leatd, name):
        return leatd.status()["log"][name]

    def newest(self, leatd):
        """Key -> value as a consumer that starts at the beginning knows it in the end, and how many records it saw."""
        command = ["kcat", "-b", "127.0.0.1:%d" % leatd.port, "-t", "state", "-p", "0", "-C", "-e", "-q", "-o", "beginning",
                   "-Z", "-f", "%o %k %s\\n"]
        lines = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=PATIENCE).stdout.decode().splitlines()
        view, last = {}, -1
        for line in lines:
            offset, key, value = line.split(" ", 2)
            self.assertGreater(int(offset), last)
            last = int(offset)
            if value == "NULL":
                view.pop(key, None)
            else:
                view[key] = value
        return view, len(lines)

    def test_the_newest_value_of_every_key(self):
        leatd = self.leatd("--http", "127.0.0.1:0", budget="4MiB").start()
        create_compacted(leatd.port, "state")
        chance, ought, sent = random.Random(7), {}, 0
        for number in range(ROUNDS):
            lines = []
            for key in range(KEYS):
                name = "key-%d" % key
                if chance.random() < 0.05:
                    lines.append(name + ":")
                    ought.pop(name, None)
                else:
                    ought[name] = "%d-%s" % (number, "v" * (400 + chance.randrange(200)))
                    lines.append(name + ":" + ought[name])
            sent += len(lines)
            command = ["kcat", "-b", "127.0.0.1:%d" % leatd.port, "-t", "state", "-p", "0", "-P", "-K", ":", "-Z", "-X", "acks=all",
                       "-X", "batch.num.messages=50", "-X", "linger.ms=5", "-X", "message.timeout.ms=50000"]
            if number % 2 == 1:
                command += ["-z", "lz4"]
            done = subprocess.run(command, input="".join(line + "\n" for line in lines).encode(), stderr=subprocess.PIPE, timeout=PATIENCE)
            self.assertEqual(done.returncode, 0, done.stderr.decode())
        # More than the log holds went in, so it was compacted on the way; what is left is compacted soon.
        wait_for(lambda: self.counter(leatd, "superseded_records_total") > sent // 2, "compaction")
        view, seen = self.newest(leatd)
        self.assertEqual(view, ought)
        self.assertLess(seen, sent // 2)
        print("%d records sent, %d left, %d keys" % (sent, seen, len(ought)))
        leatd.kill()
        leatd.start()
        self.assertEqual(self.newest(leatd)[0], ought)
        self.assertEqual(leatd.stop(), 0)
        done = subprocess.run([LEATD, "log", "verify", leatd.data], stdout=subprocess.PIPE, timeout=PATIENCE)
        self.assertEqual(done.returncode, 0, done.stdout.decode())


if __name__ == "__main__":
    unittest.main()
