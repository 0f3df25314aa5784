"""The demo's checker sees what it is there to see, and its verdict fails for each of its reasons."""
import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "firmware-examples", "demo"))
import check  # noqa: E402
import demo  # noqa: E402

# What the issue of the demo and its readers expect to find in result.json.
KEYS = ["acked", "acked_while_link_down", "duplicates", "flash_only_at_cut", "gateway_rss_kib", "log_bytes_written",
        "missing", "out_of_order", "payload_bytes", "power_cut", "produced", "upstream"]

FAKE_KCAT = """#!%s
import os, sys
topic = sys.argv[sys.argv.index("-t") + 1]
path = os.path.join(os.path.dirname(os.path.abspath(__file__)), topic)
if not os.path.exists(path):
    sys.exit("no such topic")
sys.stdout.write(open(path).read())
""" % sys.executable


class Center:
    """A center that holds what the test says, behind a kcat of its own."""

    def __init__(self, folder):
        self.folder = folder
        kcat = os.path.join(folder, "kcat")
        with open(kcat, "w", encoding="utf-8") as file:
            file.write(FAKE_KCAT)
        os.chmod(kcat, stat.S_IRWXU)

    def holds(self, topic, records):
        with open(os.path.join(self.folder, topic), "w", encoding="utf-8") as file:
            for offset, (key, run, seq) in enumerate(records):
                file.write("0\t%d\t%s\t%s\n" % (offset, key, json.dumps({"run": run, "seq": seq})))

    def acked(self, lines, end="\n"):
        path = os.path.join(self.folder, "acks.tsv")
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join("\t".join(map(str, line)) for line in lines) + end)
        return path


class Check(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.center = Center(folder.name)
        path = os.environ["PATH"]
        os.environ["PATH"] = folder.name + os.pathsep + path
        self.addCleanup(os.environ.update, PATH=path)

    def counts(self, acks, **topics):
        for topic, records in topics.items():
            self.center.holds(topic, records)
        found = check.check("center", self.center.acked(acks), "r")
        return tuple(found[name] for name in ("acked", "upstream", "missing", "duplicates", "out_of_order"))

    def test_all_there(self):
        acks = [("t", "a", 0), ("t", "a", 1), ("u", "b", 0)]
        self.assertEqual(self.counts(acks, t=[("a", "r", 0), ("a", "r", 1)], u=[("b", "r", 0)]), (3, 3, 0, 0, 0))

    def test_what_is_acknowledged_and_not_there_is_missing(self):
        acks = [("t", "a", seq) for seq in range(4)]
        self.assertEqual(self.counts(acks, t=[("a", "r", 0), ("a", "r", 3)]), (4, 2, 2, 0, 0))

    def test_a_record_of_another_topic_key_or_run_does_not_stand_in(self):
        acks = [("t", "a", 0), ("u", "a", 0)]
        self.assertEqual(self.counts(acks, t=[("b", "r", 0), ("a", "other", 0)], u=[("a", "r", 0)]), (2, 2, 1, 0, 0))

    def test_twice_counts_each_time_more_and_is_no_disorder(self):
        records = [("a", "r", seq) for seq in (0, 1, 0, 1, 2, 2)]
        self.assertEqual(self.counts([("t", "a", seq) for seq in range(3)], t=records), (3, 3, 0, 3, 0))

    def test_order_is_by_first_arrival_of_each_key(self):
        records = [("a", "r", 1), ("b", "r", 0), ("a", "r", 0), ("a", "r", 2)]
        acks = [("t", "a", seq) for seq in range(3)] + [("t", "b", 0)]
        self.assertEqual(self.counts(acks, t=records), (4, 4, 0, 0, 1))

    def test_an_ack_whose_line_was_cut_is_none(self):
        self.center.holds("t", [("a", "r", 0)])
        found = check.check("center", self.center.acked([("t", "a", 0), ("t", "a", 1)], end=""), "r")
        self.assertEqual((found["acked"], found["missing"]), (1, 0))

    def test_a_topic_that_cannot_be_read_is_an_error_and_not_a_pass(self):
        with self.assertRaises(SystemExit):
            self.counts([("t", "a", 0)])


SLOW = """
import sys, time
sys.path.insert(0, sys.argv[1])
import demo
class Slow(demo.Demo):
    def set_up(self): print("up", flush=True)
    def play(self): time.sleep(60)
    def tear_down(self):
        print("ending", flush=True)
        time.sleep(1)
        print("clean", flush=True)
demo.Demo = Slow
sys.argv[1:] = ["--folder", sys.argv[2], "--leatd", "x", "--agent", "x"]
sys.exit(demo.main())
"""


class Ending(unittest.TestCase):
    def test_a_second_signal_does_not_disturb_the_clean_up(self):
        with tempfile.TemporaryDirectory() as folder:
            run = subprocess.Popen([sys.executable, "-B", "-c", SLOW, os.path.dirname(demo.__file__), folder], stdout=subprocess.PIPE, text=True)
            self.addCleanup(run.kill)
            self.assertEqual(run.stdout.readline(), "up\n")
            run.send_signal(signal.SIGINT)  # the terminal's
            self.assertEqual(run.stdout.readline(), "ending\n")
            run.send_signal(signal.SIGTERM)  # demo.sh's
            self.assertEqual(run.stdout.read(), "clean\n")
            self.assertEqual(run.wait(30), 130)


class Verdict(unittest.TestCase):
    GOOD = {"produced": 5000, "acked": 5000, "acked_while_link_down": 500, "flash_only_at_cut": 1, "upstream": 5000,
            "missing": 0, "duplicates": 7, "out_of_order": 0, "gateway_rss_kib": 1, "payload_bytes": 1,
            "log_bytes_written": 1, "power_cut": "ioctl", "first_missing": [], "rss_peak_kib": {}}

    def test_a_good_run_passes_also_with_duplicates(self):
        self.assertEqual(demo.complaints(self.GOOD), [])

    def test_each_condition_fails_alone(self):
        for name, value in (("missing", 1), ("out_of_order", 1), ("acked", 4999), ("acked_while_link_down", 499),
                            ("flash_only_at_cut", 0)):
            self.assertEqual(len(demo.complaints({**self.GOOD, name: value})), 1, name)
        few = {**self.GOOD, "produced": 4999, "acked": 4999}
        self.assertEqual(len(demo.complaints(few)), 1)

    def test_the_figures_are_exactly_these(self):
        with tempfile.TemporaryDirectory() as folder:
            demo.write_figures(folder, self.GOOD)
            with open(os.path.join(folder, "result.json"), encoding="utf-8") as file:
                self.assertEqual(sorted(json.load(file)), KEYS)


if __name__ == "__main__":
    unittest.main()
