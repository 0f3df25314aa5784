"""leatd log verify, dump and stats as a person would use them: beside a running broker, after it, on damage."""
import json
import os
import re
import struct
import subprocess
import threading
import unittest

import harness
from harness import LEATD, PATIENCE, text


def log_tool(*arguments):
    done = subprocess.run([LEATD, "log"] + list(arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def tree(folder):
    return {name: os.stat(os.path.join(folder, name)).st_mtime_ns for name in os.listdir(folder)}


def create(port, topic, configs):
    settings = b"".join(text(name) + text(value) for name, value in configs.items())
    body = struct.pack(">i", 1) + text(topic) + struct.pack(">ihii", 1, 1, 0, len(configs)) + settings + struct.pack(">i?", 30000, False)
    with harness.connect(port) as client:
        client.sendall(harness.request(19, 2, 3, body))
        told = harness.answer(client)
    assert struct.unpack(">h", told[14 + len(topic):16 + len(topic)])[0] == 0, told


class Load:
    """Fills a topic that drops its oldest records, and a compacted one, until it is stopped."""

    def __init__(self, port):
        self.over = threading.Event()
        lines = ["k%d:%05d " % (i, i) + "x" * 500 for i in range(20000)]
        keys = ["k%d:" % (i % 50) + "v" * 300 for i in range(1000)]
        self.threads = [threading.Thread(target=self.run, args=(port, "passes", "100", lines)),
                        threading.Thread(target=self.run, args=(port, "state", "5", keys))]
        for thread in self.threads:
            thread.start()

    def run(self, port, topic, records, lines):
        command = ["kcat", "-b", "127.0.0.1:%d" % port, "-t", topic, "-p", "0", "-P", "-K", ":", "-X", "acks=all",
                   "-X", "batch.num.messages=" + records, "-X", "log_level=2"]
        while not self.over.is_set():
            subprocess.run(command, input="\n".join(lines).encode(), check=True, stderr=subprocess.DEVNULL, timeout=PATIENCE)

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join()


class LogTool(harness.Case):
    def test_live_then_stopped_then_damaged(self):
        broker = self.leatd("--http", "127.0.0.1:0").start()
        harness.kcat_produce(broker.port, "t", ["line %04d" % i for i in range(500)])
        path = os.path.join(broker.data, "leat.log")
        code, out, err = log_tool("verify", broker.data)
        self.assertEqual((code, err), (0, ""), out)
        self.assertIn("0 damaged places", out)
        harness.kcat_produce(broker.port, "t", ["more"])  # the broker does not mind having been looked at
        self.assertEqual(broker.stop(), 0)

        before = tree(broker.data)
        code, out, err = log_tool("verify", broker.data)
        self.assertEqual((code, err), (0, ""), out)
        self.assertIn("stopped cleanly", out)
        code, out, err = log_tool("stats", "--json", broker.data)
        self.assertEqual((code, err), (0, ""))
        lines = [json.loads(line) for line in out.splitlines()]
        sizes = {line["purpose"]: line["bytes"] for line in lines if line["what"] == "purpose"}
        self.assertEqual(sum(sizes.values()), 2 * sizes["pool"])
        self.assertEqual(sum(line["records"] for line in lines if line["what"] == "stream"), 501)
        code, out, err = log_tool("dump", "--json", broker.data)
        self.assertEqual((code, err), (0, ""))
        lines = [json.loads(line) for line in out.splitlines()]
        batches = [line for line in lines if line["what"] == "frame" and line["type"] == "append"]
        self.assertEqual(max(batch["to"] for batch in batches), 501)
        self.assertEqual(tree(broker.data), before)

        with open(path, "r+b") as log:
            data = log.read()
            at = data.index(b"line 0250")
            log.seek(at)
            log.write(b"lime")
        code, out, err = log_tool("verify", "--json", broker.data)
        self.assertEqual(code, 1, out + err)
        damage = [line for line in map(json.loads, out.splitlines()) if line["what"] == "damage"]
        self.assertEqual(len(damage), 1, out)
        self.assertEqual(damage[0]["kind"], "batch")
        self.assertTrue(damage[0]["from"] <= 250 < damage[0]["to"], damage)
        hit = [b for b in batches if b["from"] == damage[0]["from"]]
        self.assertEqual((hit[0]["segment"], hit[0]["position"]), (damage[0]["segment"], damage[0]["position"]))

        # The broker serves everything else, and has the batch in its ledger.
        broker.start()
        lines = harness.kcat_consume(broker.port, "t")
        lost = damage[0]["to"] - damage[0]["from"]
        self.assertEqual(len(lines), 501 - lost)
        self.assertNotIn("line 0250", lines)
        self.assertEqual(lines[-1], "more")
        self.assertIn('"damaged"', broker.get("/status"))

        # Of the last batch, too: who reads up to the end gets there, and is not kept waiting for what is gone.
        self.assertEqual(broker.stop(), 0)
        with open(path, "r+b") as log:
            log.seek(log.read().index(b"more"))
            log.write(b"mere")
        broker.start()
        self.assertEqual(harness.kcat_consume(broker.port, "t"), lines[:-1])

    def test_beside_a_broker_that_goes_on(self):
        """What is recycled, moved and dropped while it is looked at is no damage; what does not hold is."""
        broker = self.leatd("--http", "127.0.0.1:0", budget="32MiB").start()
        recycled = lambda: broker.status()["log"]["segments_recycled_total"]
        create(broker.port, "stays", {"leat.full.policy": "reject", "leat.priority": "10", "retention.ms": "-1"})
        create(broker.port, "passes", {"retention.bytes": "1000000"})
        create(broker.port, "state", {"cleanup.policy": "compact"})
        harness.kcat_produce(broker.port, "stays", ["kept %05d " % i + "x" * 500 for i in range(20000)], "batch.num.messages=10")
        path = os.path.join(broker.data, "leat.log")
        load = Load(broker.port)
        try:
            harness.wait_for(lambda: recycled() > 10, "a log that recycles")
            before = recycled()
            for _ in range(20):
                code, out, err = log_tool("verify", "--json", broker.data)
                self.assertEqual((code, err), (0, ""), out)
                self.assertNotIn("damaged", json.loads(out.splitlines()[-1])["start"])
            for command in "dump", "stats":
                self.assertEqual(log_tool(command, broker.data)[0], 0)
            self.assertGreater(recycled(), before)
        finally:
            load.stop()
        with open(path, "r+b") as log:
            data = log.read()
            for found in re.finditer(b"kept 00100", data):
                log.seek(found.start())
                log.write(b"lost")
            os.fsync(log.fileno())
        load = Load(broker.port)
        try:
            for _ in range(10):
                code, out, err = log_tool("verify", "--json", broker.data)
                self.assertEqual((code, err), (1, ""), out)
                damage = [line for line in map(json.loads, out.splitlines()) if line["what"] == "damage"]
                self.assertTrue(damage and all(one["from"] <= 100 < one["to"] <= one["from"] + 10 for one in damage), out)
        finally:
            load.stop()
        self.assertEqual(broker.stop(), 0)

    def test_what_is_no_log(self):
        self.assertEqual(log_tool("verify", self.folder)[0], 3)
        with open(os.path.join(self.folder, "leat.log"), "wb") as log:
            log.write(b"something else\n" * 100000)
        code, out, err = log_tool("verify", self.folder)
        self.assertEqual(code, 3, out)
        self.assertIn("no leat log", err)
        code, out, err = log_tool("burn", self.folder)
        self.assertEqual((code, err), (2, 'leatd log: "burn" is not dump, verify or stats\n'))
        code, out, err = log_tool("verfy", self.folder)
        self.assertEqual((code, err), (2, 'leatd log: "verfy" is not dump, verify or stats; did you mean verify?\n'))
        self.assertEqual(log_tool("verify")[0], 2)


if __name__ == "__main__":
    unittest.main()
