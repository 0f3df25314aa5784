"""Starts that cannot work and stops that must: each with its exit code and a line that says what to do."""
import fcntl
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import termios
import time
import unittest

from harness import LEATD, PATIENCE, SANITIZED, Case, answer, api_versions, connect, fetch, kcat_consume, kcat_produce, na, request, wait_for


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


class Start(Case):
    def refused(self, leatd, code, *words):
        self.assertEqual(leatd.process.wait(PATIENCE), code, leatd.log())
        error = [line for line in leatd.log().splitlines() if " error " in line]
        self.assertEqual(len(error), 1, leatd.log())
        for word in words:
            self.assertIn(word, error[0])

    def test_a_second_leatd_on_the_same_folder_is_told_who_has_it_and_the_first_goes_on(self):
        first = self.leatd("--http", "off").start()
        second = self.leatd("--http", "off")
        second.data = first.data
        self.refused(second.spawn(), 3, "in use by another process (pid %d)" % first.process.pid, "--data")
        self.assertGreater(api_versions(first.port), 5)

    def test_the_status_tells_of_the_disk_under_the_log_as_the_kernel_does(self):
        leatd = self.leatd("--http", "127.0.0.1:0").start()
        device = leatd.status()["device"]
        number = os.stat(leatd.data).st_dev
        stat = "/sys/dev/block/%d:%d/stat" % (os.major(number), os.minor(number))
        if not os.path.exists(stat):  # tmpfs, overlayfs: no disk, and so nothing is said of one
            self.assertEqual(device, {})
            return
        self.assertIn(device["device"], os.path.realpath(os.path.dirname(stat)).split("/"))
        self.assertGreater(device["written_bytes_total"], 0)
        self.assertIn("leat_device_written_bytes_total ", leatd.get("/metrics"))

    def test_a_log_that_is_gone_or_only_zeros_is_said_to_be(self):
        leatd = self.leatd("--http", "off", budget="1MiB").start()
        path = os.path.join(leatd.data, "leat.log")
        self.assertNotIn(" warn  storage: a leatd", leatd.log())
        leatd.stop()
        os.unlink(path)
        leatd.start()
        self.assertRegex(leatd.log(), "(?m) warn .*leat.lock is there.*leat.log is not: a new, empty log was made")
        leatd.stop()
        with open(path, "r+b") as log:
            log.write(bytes(1 << 20))
        leatd.start()
        self.assertRegex(leatd.log(), "(?m) warn .*leat.log was there, but holds zeros")
        leatd.stop()
        leatd.start()
        self.assertNotRegex(leatd.log(), "leat.lock is there|holds zeros")

    def test_no_memory_for_a_thread_is_said_with_what_to_do(self):
        if SANITIZED:
            self.skipTest("a sanitizer takes more memory than any such limit")
        leatd = self.leatd("--http", "off", budget="1MiB")
        leatd.wrap = ["prlimit", "--data=3000000"]
        leatd.spawn()
        self.assertEqual(leatd.process.wait(PATIENCE), 1, leatd.log())
        self.assertIn("ulimit -u", leatd.log())
        self.assertIn("ulimit -d", leatd.log())

    def test_a_port_in_use_leaves_with_4(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            self.refused(self.leatd("--http", "off", listen="127.0.0.1:%d" % port).spawn(), 4, "port %d" % port, "in use", "--listen")
            self.refused(self.leatd("--http", "127.0.0.1:%d" % port).spawn(), 4, "port %d" % port, "--http")

    def test_an_address_that_is_not_ours_leaves_with_4(self):
        self.refused(self.leatd("--http", "off", listen="192.0.2.1:9092").spawn(), 4, "192.0.2.1")

    def test_a_folder_of_another_format_version_is_left_alone(self):
        leatd = self.leatd("--http", "off").start()
        self.assertEqual(leatd.stop(), 0)
        path = os.path.join(leatd.data, "leat.log")
        with open(path, "r+b") as log:
            for slot in (0, 16384):
                log.seek(slot)
                block = bytearray(log.read(512))
                if block[:8] != b"LEATSUPR":
                    continue
                struct.pack_into("<I", block, 8, 4711)
                struct.pack_into("<I", block, 508, crc32c(block[:508]))
                log.seek(slot)
                log.write(block)
        with open(path, "rb") as log:
            before = log.read()
        self.refused(leatd.spawn(), 3, "format version", "empty data folder")
        with open(path, "rb") as log:
            self.assertEqual(log.read(), before)

    def test_a_file_that_is_no_log_is_left_alone(self):
        leatd = self.leatd("--http", "off")
        os.mkdir(leatd.data)
        with open(os.path.join(leatd.data, "leat.log"), "wb") as log:
            log.write(b"diary\n" * 1_000_000)
        self.refused(leatd.spawn(), 3)
        with open(os.path.join(leatd.data, "leat.log"), "rb") as log:
            self.assertEqual(log.read(), b"diary\n" * 1_000_000)

    def test_a_full_disk_at_start_says_so_and_leaves_no_half_log(self):
        mount = os.path.join(self.folder, "small")
        os.mkdir(mount)
        if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "leat-test", mount]).returncode != 0:
            return na("full disk at start: mounting a small file system needs root")
        self.addCleanup(subprocess.run, ["umount", "-l", mount])
        leatd = self.leatd("--http", "off")  # with a budget of 64 MiB
        leatd.data = os.path.join(mount, "data")
        self.refused(leatd.spawn(), 3, "free", "--budget")
        self.assertEqual(os.listdir(leatd.data), ["leat.lock"])
        os.remove(os.path.join(leatd.data, "leat.lock"))
        subprocess.run(["dd", "if=/dev/zero", "of=" + os.path.join(mount, "filler"), "bs=64k"], stderr=subprocess.DEVNULL)
        self.refused(leatd.spawn(), 3, "free", "--budget")

    def test_a_folder_that_cannot_be_made(self):
        leatd = self.leatd("--http", "off")
        leatd.data = "/proc/nowhere"
        self.refused(leatd.spawn(), 3, "/proc/nowhere", "--data")

    def test_without_o_direct_it_says_so_and_works(self):
        if not os.access("/dev/shm", os.W_OK):
            return na("a start on tmpfs: no /dev/shm here")
        leatd = self.leatd("--http", "off")
        leatd.data = "/dev/shm/leat-process-test.%d" % os.getpid()
        self.addCleanup(subprocess.run, ["rm", "-rf", leatd.data])
        leatd.start()
        self.assertIn("write + fdatasync", leatd.log())
        self.assertIn("is memory", leatd.log())
        kcat_produce(leatd.port, "t", ["a"])
        leatd.kill()
        leatd.start()
        self.assertEqual(kcat_consume(leatd.port, "t"), ["a"])

    def test_sigterm_and_sigint_leave_with_0_also_with_clients_connected(self):
        leatd = self.leatd("--http", "off")
        for number in (signal.SIGTERM, signal.SIGINT):
            leatd.start()
            with connect(leatd.port), connect(leatd.port) as half:
                half.sendall(b"\0\0\1")
                leatd.process.send_signal(number)
                self.assertEqual(leatd.process.wait(11), 0, leatd.log())
            self.assertTrue(leatd.log().endswith("stopped\n"), leatd.log())

    def test_sighup_does_not_end_a_service(self):
        leatd = self.leatd("--http", "off").start()
        leatd.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "SIGHUP: settings are read at the start only" in leatd.log(), "a word about it")
        self.assertGreater(api_versions(leatd.port), 0)
        self.assertEqual(leatd.stop(), 0)

    def test_a_terminal_that_closes_ends_it_cleanly(self):
        ours, theirs = pty.openpty()
        process = subprocess.Popen([LEATD, "--data", os.path.join(self.folder, "data"), "--listen", "127.0.0.1:0", "--http", "off", "--budget", "4MiB"],
                                   stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
                                   preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.addCleanup(process.kill)
        os.close(theirs)
        line = b""
        while b"listens on" not in line:
            line = process.stdout.readline()
            self.assertTrue(line)
        os.close(ours)  # the kernel sends SIGHUP
        rest = process.stdout.read().decode()
        self.assertEqual(process.wait(PATIENCE), 0, rest)
        self.assertIn("the terminal is gone", rest)
        self.assertIn("stopped", rest)

    def test_sigterm_answers_who_waits_and_what_was_acknowledged_is_sealed(self):
        leatd = self.leatd("--http", "off").start()
        kcat_produce(leatd.port, "t", ["a"])
        with connect(leatd.port) as waiting:
            waiting.sendall(fetch("t", 1, 60_000))
            time.sleep(0.2)
            leatd.process.send_signal(signal.SIGTERM)
            self.assertGreater(len(answer(waiting)), 8)
            self.assertEqual(leatd.process.wait(11), 0, leatd.log())
        leatd.start()
        self.assertNotIn("cut", leatd.log())
        self.assertEqual(kcat_consume(leatd.port, "t"), ["a"])

    def test_a_second_signal_leaves_at_once_with_1_and_loses_nothing_acknowledged(self):
        leatd = self.leatd("--http", "off").start()
        kcat_produce(leatd.port, "t", ["a"])
        # Both are pending before the process runs on, so the second one always comes in the middle of the stop.
        for number in (signal.SIGSTOP, signal.SIGTERM, signal.SIGINT, signal.SIGCONT):
            leatd.process.send_signal(number)
        self.assertEqual(leatd.process.wait(11), 1, leatd.log())
        self.assertFalse(leatd.log().endswith("stopped\n"), leatd.log())
        leatd.start()
        self.assertEqual(kcat_consume(leatd.port, "t"), ["a"])

    def test_few_descriptors_are_said_and_refuse_at_the_door(self):
        leatd = self.leatd("--http", "off")
        leatd.limits = (64, 64)  # half of them, for a client alone takes several
        leatd.start()
        self.assertIn("at most 32 connections", leatd.log())
        clients = [connect(leatd.port) for _ in range(32)]
        for client in clients:
            client.sendall(request(18, 0, 1))
            answer(client)
        with connect(leatd.port) as refused:
            self.assertEqual(refused.recv(1), b"")
        clients.pop().close()
        wait_for(lambda: self.answered(leatd.port), "room again")
        for client in clients:
            client.close()
        kcat_produce(leatd.port, "t", ["a"])
        self.assertEqual(kcat_consume(leatd.port, "t"), ["a"])

    def answered(self, port):
        try:
            return api_versions(port)
        except OSError:
            return 0

    def test_sigpipe_and_a_closed_log_do_not_matter(self):
        leatd = self.leatd("--http", "off").start()
        leatd.process.send_signal(signal.SIGPIPE)
        self.assertGreater(api_versions(leatd.port), 5)

    def test_with_its_descriptors_closed_no_line_ends_up_in_the_log_of_records(self):
        leatd = self.leatd("--http", "127.0.0.1:0").start()
        kcat_produce(leatd.port, "t", ["a"])
        self.assertEqual(leatd.stop(), 0)
        closed = subprocess.Popen(["sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-', LEATD, "--data", leatd.data, "--listen", leatd.listen, "--http", "off"])
        self.addCleanup(closed.kill)
        wait_for(lambda: self.answered(leatd.port), "the start")
        kcat_produce(leatd.port, "t", ["b"])
        closed.terminate()
        self.assertEqual(closed.wait(11), 0)
        leatd.start()
        self.assertEqual(kcat_consume(leatd.port, "t"), ["a", "b"])

    def test_json_log_lines_are_json(self):
        import json
        leatd = self.leatd("--http", "off", "--log-format", "json").start()
        leatd.stop()
        lines = [json.loads(line) for line in leatd.log().splitlines()]
        self.assertTrue(all(set(line) == {"ts", "level", "room", "text"} for line in lines))
        self.assertEqual(lines[-1]["text"], "stopped")

    def test_a_start_is_quick(self):
        leatd = self.leatd("--http", "off")
        times = []
        for _ in range(5):
            leatd.start()
            times.append(int(re.search(r"ready after (\d+) ms", leatd.log()).group(1)))
            leatd.stop()
        print("start: %s ms (the first makes the log)" % times)
        if not SANITIZED:
            self.assertLessEqual(min(times[1:]), 20)  # the least disturbed one

    def test_the_same_port_again_right_after_a_kill(self):
        leatd = self.leatd("--http", "off").start()
        with connect(leatd.port):
            leatd.kill()
        leatd.start()
        self.assertGreater(api_versions(leatd.port), 5)

    def test_status_metrics_and_health(self):
        leatd = self.leatd("--http", "127.0.0.1:0").start()
        kcat_produce(leatd.port, "t", ["a", "b"])
        self.assertEqual(leatd.get("/healthz"), "ok\n")
        topics = leatd.status()["topics"]
        self.assertEqual([(topic["name"], topic["partitions"][0]["high_watermark"]) for topic in topics], [("t", 2)])
        self.shape(leatd.status())
        metrics = leatd.get("/metrics")
        for line in metrics.splitlines():
            self.assertRegex(line, r'^(# TYPE leat_\w+ (gauge|counter)|leat_\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? -?[0-9.e+]+)$')
        self.assertIn('leat_topics_partitions_high_watermark{name="t",partition="0"} 2', metrics.splitlines())


    def shape(self, status):
        """What `leat status`, dashboards and the demo read. Members may be added, none may go."""
        self.assertLessEqual({"name", "version", "uptime_ms", "cluster_id", "node_id", "stopping", "log", "topics", "produce", "uplink",
                              "sessions", "fetch_sessions", "groups", "quotas", "byte_pool"}, set(status))
        self.assertLessEqual({"log_id", "start_count", "leader_epoch", "was_sealed", "read_only", "budget_bytes", "used_bytes", "segment_bytes",
                              "segments", "segments_free", "payload_bytes_total", "written_bytes_total", "commits_total",
                              "write_errors_total"}, set(status["log"]))
        self.assertLessEqual({"partition", "log_start", "high_watermark", "log_end", "uplinked_offset", "bytes"},
                             set(status["topics"][0]["partitions"][0]))


if __name__ == "__main__":
    unittest.main()
