"""What reaches the device: fixed files, one page-aligned write per commit, no metadata calls."""
import os
import re
import subprocess
import threading
import time
import unittest

from harness import Case, kcat_consume, kcat_produce, na, wait_for

FORBIDDEN = "fsync,rename,renameat,renameat2,unlink,unlinkat,ftruncate,truncate,fallocate,sync_file_range,syncfs,sync,link,linkat,mkdir"
WATCHED = "write,pwrite64,pwritev,pwritev2,writev,fdatasync,open,openat," + FORBIDDEN


def inodes(folder):
    """Of each file; sizes, too, but for the lock's: a process id has four digits or five."""
    return {entry.name: (entry.inode(), entry.name == "leat.lock" or entry.stat().st_size) for entry in os.scandir(folder)}


class Flash(Case):
    def test_inodes_and_sizes_never_change_through_turns_kills_and_stops(self):
        # 2 MiB of log: thirty-odd segments of 64 KiB, wrapped many times over.
        leatd = self.leatd("--http", "off", "--config", self.config(), budget="2MiB")
        leatd.start()
        before = inodes(leatd.data)
        self.assertEqual(before["leat.log"][1], 2 << 20)
        payload = "x" * 1000
        turns = 0
        for life in range(3):
            for burst in range(3):
                kcat_produce(leatd.port, "t", ["%d %d %d %s" % (life, burst, i, payload) for i in range(700)], "batch.size=15000", "message.send.max.retries=100000")
                turns += 700 * 1024 / (2 << 20)
            if life % 2:
                self.assertEqual(leatd.stop(), 0)
            else:
                leatd.kill()
            leatd.start()
            self.assertEqual(inodes(leatd.data), before)
        self.assertGreater(turns, 3)
        # Not the last one, where a batch in front of it found no room at first and was sent once more.
        newest = [line[:-len(payload) - 1] for line in kcat_consume(leatd.port, "t")[-100:]]
        self.assertIn("2 2 699", newest)

    def test_a_first_start_makes_the_file_and_the_folder_and_its_place_durable(self):
        trace = os.path.join(self.folder, "trace")
        if subprocess.run(["strace", "-o", trace, "true"], stderr=subprocess.DEVNULL).returncode != 0:
            return na("system calls of a first start: strace cannot trace here")
        leatd = self.leatd("--http", "off", budget="2MiB")
        leatd.wrap = ["strace", "-D", "-f", "-y", "-o", trace, "-e", "trace=fsync"]
        leatd.env = {"ASAN_OPTIONS": "detect_leaks=0"}  # which wants to trace it, too
        leatd.start()
        self.assertEqual(leatd.stop(), 0)
        with open(trace) as file:
            synced = re.findall(r"fsync\(\d+<([^>]*)>\) += 0", file.read())
        data = os.path.realpath(leatd.data)
        self.assertEqual(synced, [data + "/leat.log.new", data, os.path.dirname(data)])

    def config(self):
        path = os.path.join(self.folder, "small.json")
        with open(path, "w") as file:
            file.write('{"log.segment.bytes": "64KiB", "message.max.bytes": "16KiB", "log.retention.bytes": "512KiB"}')
        return path

    def test_a_start_after_a_kill_on_a_large_log_reads_little_of_it(self):
        leatd = self.leatd("--http", "127.0.0.1:0", budget="256MiB").start()
        for i in range(4):
            kcat_produce(leatd.port, "t%d" % i, ["x" * 1000] * 40_000)
        used = leatd.status()["log"]["used_bytes"]
        self.assertGreater(used, 150 << 20)
        leatd.kill()
        leatd.start()
        status = leatd.status()
        print("start on %d MiB: read %d KiB, RSS %d KiB, %s" % (used >> 20, status["log"]["read_at_open_bytes"] >> 10, leatd.rss_kib(),
                                                              re.search("ready after .*", leatd.log()).group(0)))
        self.assertLessEqual(status["log"]["read_at_open_bytes"], 32 << 20)
        self.assertEqual([topic["partitions"][0]["high_watermark"] for topic in status["topics"]], [40_000] * 4)

    def test_under_load_each_commit_is_one_page_aligned_write_and_nothing_else(self):
        leatd = self.leatd("--http", "127.0.0.1:0").start()
        kcat_produce(leatd.port, "t", ["warm"])
        trace = os.path.join(self.folder, "trace")
        strace = subprocess.Popen(["strace", "-f", "-y", "-o", trace, "-e", "trace=" + WATCHED, "-p", str(leatd.process.pid)],
                                  stderr=subprocess.PIPE)
        self.addCleanup(strace.stderr.close)
        self.addCleanup(strace.kill)
        line = strace.stderr.readline().decode()
        if "attached" not in line:
            return na("system calls under load: strace cannot attach here (%s)" % line.strip())
        before = leatd.status()
        rounds = 12  # one after the other, so at least as many commits

        def load(topic):
            for _ in range(rounds):
                kcat_produce(leatd.port, topic, ["%d" % n * 50 for n in range(500)], "batch.num.messages=50")

        threads = [threading.Thread(target=load, args=("t%d" % i,)) for i in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        after = leatd.status()
        strace.terminate()
        strace.wait()
        with open(trace) as file:
            calls = [line for line in file.read().splitlines() if "resumed" not in line and "---" not in line]
        forbidden = [line for line in calls if re.match(r"\d+ +(%s)\(" % FORBIDDEN.replace(",", "|"), line)]
        self.assertEqual(forbidden, [])
        opened = [line for line in calls if re.match(r"\d+ +open", line) and leatd.data in line]
        self.assertEqual(opened, [])
        to_log = [line for line in calls if re.match(r"\d+ +p?write", line) and "leat.log" in line]
        writes = 0
        for line in to_log:
            found = re.match(r"\d+ +pwrite64\(\d+<[^>]*>, .*, (\d+), (\d+)(\)| <unfinished)", line)
            self.assertTrue(found, line)
            self.assertEqual(int(found.group(1)) % 4096, 0, line)
            self.assertEqual(int(found.group(2)) % 4096, 0, line)
            writes += 1
        commits = after["log"]["commits_total"] - before["log"]["commits_total"]
        flushes = after["storage"]["flushes_total"] - before["storage"]["flushes_total"]
        print("commits %d, writes to the log %d, flushes %d" % (commits, writes, flushes))
        self.assertGreaterEqual(commits, rounds)
        self.assertGreaterEqual(flushes, commits)
        self.assertLessEqual(flushes, writes if after["storage"]["direct"] else sum("fdatasync(" in line for line in calls))
        self.assertIn("\nleat_storage_flushes_total ", leatd.get("/metrics"))
        self.assertGreaterEqual(writes, commits)
        # Beyond the commits: zeroing ahead (256 KiB each), checkpoints and superblocks; a fixed handful.
        self.assertLessEqual(writes, commits * 1.1 + 64)


if __name__ == "__main__":
    unittest.main()
