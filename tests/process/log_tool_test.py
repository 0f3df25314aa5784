"""leatd log verify, dump and stats as a person would use them: beside a running broker, after it, on damage."""
import json
import os
import subprocess
import unittest

import harness
from harness import LEATD, PATIENCE


def log_tool(*arguments):
    done = subprocess.run([LEATD, "log"] + list(arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def tree(folder):
    return {name: os.stat(os.path.join(folder, name)).st_mtime_ns for name in os.listdir(folder)}


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
