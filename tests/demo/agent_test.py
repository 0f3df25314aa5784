"""linux-agent against leatd: what stands in its ack file, when, and what its exit code means."""
import collections
import json
import os
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "process"))
from harness import Case, PATIENCE, kcat_consume, wait_for  # noqa: E402

AGENT = os.environ["AGENT"]


def read(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""


class Agent(Case):
    def start(self, port, *flags):
        self.acks = os.path.join(self.folder, "acks.tsv")
        process = subprocess.Popen([AGENT, "--bootstrap", "127.0.0.1:%d" % port, "--acks", self.acks, "--run-id", "r", *flags],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def test_acknowledgements_are_in_the_file_when_they_come_and_are_true(self):
        leatd = self.leatd().start()
        agent = self.start(leatd.port, "--rate", "20", "--duration", "2")
        sizes = set()
        while agent.poll() is None:
            sizes.add(os.path.getsize(self.acks) if os.path.exists(self.acks) else 0)
            time.sleep(0.005)
        self.assertEqual(agent.returncode, 0, agent.stdout.read())
        # Kept back in a buffer they would come by the page, and once a second.
        self.assertGreater(len(sizes), max(sizes) / 4096 + 10)
        lines = [line.split("\t") for line in read(self.acks).splitlines()]
        acked = collections.defaultdict(list)
        for topic, key, seq, offset in lines:
            acked[topic].append((int(offset), key, int(seq)))
        self.assertIn("sensors.cpu", acked)
        for topic, records in acked.items():
            values = [json.loads(value) for value in kcat_consume(leatd.port, topic)]
            self.assertEqual([value["run"] for value in values], ["r"] * len(records))
            # Each sensor counts from 0 without a hole, and each line names the offset where its record lies.
            self.assertEqual([values[offset]["seq"] for offset, _, _ in records], [seq for _, _, seq in records])
            by_key = collections.defaultdict(list)
            for _, key, seq in sorted(records):
                by_key[key].append(seq)
            for key, seqs in by_key.items():
                self.assertEqual(seqs, list(range(len(seqs))), key)

    def test_asked_to_end_it_drains_first_through_a_gateway_that_is_away(self):
        leatd = self.leatd().start()
        agent = self.start(leatd.port, "--drain", "60")
        wait_for(lambda: read(self.acks).count("\n") > 20, "the first acknowledgements")
        leatd.kill()
        time.sleep(0.5)
        agent.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        self.assertIsNone(agent.poll())
        leatd.start()
        agent.wait(PATIENCE)
        stats = json.loads(agent.stdout.read().splitlines()[-1])
        self.assertEqual((agent.returncode, stats["state"], stats["buffered"], stats["errors"]), (0, "done", 0, 0))
        self.assertEqual(stats["acked"], stats["produced"])
        self.assertEqual(read(self.acks).count("\n"), stats["acked"])

    def test_what_could_not_be_delivered_is_exit_code_1_and_a_wrong_flag_2(self):
        leatd = self.leatd().start()
        port = leatd.port
        agent = self.start(port, "--drain", "0.2")
        wait_for(lambda: read(self.acks).count("\n") > 20, "the first acknowledgements")
        leatd.kill()
        time.sleep(0.3)
        agent.send_signal(signal.SIGTERM)
        self.assertEqual(agent.wait(PATIENCE), 1)
        for flags in (["--nope"], ["--rate", "0"], ["--acks"], ["--acks", "/nowhere/acks"]):
            done = subprocess.run([AGENT, "--bootstrap", "127.0.0.1:%d" % port, *flags], stdin=subprocess.DEVNULL, capture_output=True,
                                  timeout=PATIENCE)
            self.assertEqual(done.returncode, 2, flags)


if __name__ == "__main__":
    unittest.main(verbosity=2)
