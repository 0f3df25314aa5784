"""leat in a shell: what it does when its standard streams are closed, full, no stream, or lose their reader."""
import json
import os
import socket
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "process"))
from harness import Case, PATIENCE, na  # noqa: E402

LEAT = os.environ["LEAT"]


class Streams(Case):
    def setUp(self):
        super().setUp()
        self.broker = self.leatd("--http", "off").start()
        self.leat("produce lines", stdin="".join("%d\n" % i for i in range(50_000)))

    def leat(self, words, after="", stdin=""):
        """`leat -b BROKER words`, and what the shell makes of it: (exit code of leat, stdout, stderr)."""
        script = "%s -b 127.0.0.1:%d %s %s" % (LEAT, self.broker.port, words, after)
        done = subprocess.run(["bash", "-c", script + "; exit ${PIPESTATUS[0]}"], input=stdin.encode(),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def test_what_could_not_be_printed_is_a_failure(self):
        for words in ("consume lines", "consume lines --json", "topics list", "topics describe"):
            code, _, complaint = self.leat(words, "> /dev/full")
            self.assertEqual((code, "standard output" in complaint), (1, True), words)
            self.assertEqual(self.leat(words, ">&-")[0], 1, words)

    def test_a_reader_that_has_enough_ends_it_quietly(self):
        for words in ("consume lines", "consume lines --json", "consume lines --from-beginning --follow"):
            code, out, complaint = self.leat(words, "| head -n 1")
            self.assertEqual((code, len(out.splitlines()), complaint), (0, 1, ""), words)

    def test_a_follower_sees_that_its_reader_left_also_while_nothing_comes(self):
        code, out, complaint = self.leat("consume lines --follow -o -3", "| head -n 3")
        self.assertEqual((code, out, complaint), (0, "49997\n49998\n49999\n", ""))

    def test_input_that_cannot_be_read_is_a_failure_and_not_an_empty_one(self):
        for after in ("<&-", "< /"):
            code, _, complaint = self.leat("produce lines", after)
            self.assertEqual((code, "standard input cannot be read" in complaint), (1, True), after + complaint)
        code, _, complaint = self.leat("produce lines", "< /dev/null")
        self.assertEqual((code, complaint), (0, "0 records delivered\n"))

    def test_the_status_of_a_broker_on_the_ipv6_loopback(self):
        try:
            socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        except OSError as error:
            return na("no IPv6 loopback here: %s" % error)
        for _ in range(5):  # the status port is the next one, and somebody may have it
            broker = self.leatd(listen="[::1]:0").start()
            if broker.http == broker.port + 1:
                break
        self.assertEqual(broker.http, broker.port + 1, broker.log())
        code, out, complaint = self.leat("status '[::1]:%d' --json" % broker.port)
        self.assertEqual((code, complaint), (0, ""))
        self.assertEqual(json.loads(out)["topics"], [])

    def test_a_name_server_that_never_answers_does_not_hold_it_up_beyond_its_timeout(self):
        silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(silent.close)
        try:
            silent.bind(("127.0.0.79", 53))
        except OSError as error:
            return na("a silent name server: cannot bind port 53 (%s)" % error)
        resolv = os.path.join(self.folder, "resolv.conf")
        with open(resolv, "w") as file:
            file.write("nameserver 127.0.0.79\n")
        inside = ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"', resolv]
        if subprocess.run(inside + ["true"], stderr=subprocess.DEVNULL).returncode != 0:
            return na("a silent name server: unshare is not allowed here")
        begin = time.monotonic()
        done = subprocess.run(inside + [LEAT, "-b", "no.example:9092", "--timeout", "1", "topics", "list"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertLess(time.monotonic() - begin, 4)

    def test_a_command_that_does_not_exist_is_named(self):
        for words, wrong in (("nonsense", "nonsense"), ("configs describe lines", "describe"), ("produce lines --nope", "--nope")):
            code, _, complaint = self.leat(words)
            self.assertEqual((code, wrong in complaint), (2, True), complaint)


if __name__ == "__main__":
    unittest.main(verbosity=2)
