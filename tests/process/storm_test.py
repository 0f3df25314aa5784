"""Bad neighbours against a real process, while an honest client works: what it feels of them, what memory they take, and whether
everything is as before afterwards. A second leatd without any neighbours has an honest client of its own at the same time: what
that one feels is the machine's doing and no broker's, and it is what the first is judged by, because the machine of a test is
busy. `tests/bench/run.sh --storms` has the exact figures, on cores of their own."""
import json
import multiprocessing
import os
import re
import signal
import time
import unittest

from harness import PATIENCE, SANITIZED, Case, kcat_produce, wait_for
from honest import Honest, part_ms
from neighbours import STORMS

BEFORE, STORM, AFTER = 1.5, 5.0, 1.5  # seconds
CALM_MAX, CALM_COMMITS_MAX = 10.0, 100  # seconds until the connections of a storm are gone, or as many commits of the quiet broker
RSS_KIB_MAX = 48 * 1024               # an idle broker has 8 MiB, the byte pool 4, connections about 1 KiB each
TIMES_MAX, HELD_UP_MS = 4, 2500       # as slow as before, or as the quiet broker at that time; and what is nobody's idea of well


class Storm(Case):
    def setUp(self):
        super().setUp()
        path = os.path.join(self.folder, "storm.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"group.initial.rebalance.delay.ms": 0}, file)
        self.broker = self.leatd("--http", "127.0.0.1:0", "--config", path, budget="256MiB").start()
        self.quiet = self.leatd("--http", "127.0.0.1:0", "--config", path, budget="256MiB").start()
        for broker in (self.broker, self.quiet):
            kcat_produce(broker.port, "honest", ["first"])

    def peak_kib(self):
        with open("/proc/%d/status" % self.broker.process.pid, encoding="ascii") as status:
            return int(re.search(r"VmHWM:\s*(\d+)", status.read()).group(1))

    def at_rest(self):
        """What a storm may leave behind: nothing."""
        status = self.broker.status()
        left = [status["byte_pool"][name] for name in ("request_bytes", "response_bytes", "small_bytes")]
        return not any(left) and status["sessions"]["parked_fetches"] == 0 and status

    def not_held_up(self, during, before, beside):
        self.assertLess(during, max(TIMES_MAX * before, TIMES_MAX * beside, HELD_UP_MS))

    def storm(self, what, peak_kib_max=RSS_KIB_MAX):
        prepare, neighbours = STORMS[what]
        if prepare:
            prepare(self.broker.port)
        honest, bystander = Honest(self.broker.port), Honest(self.quiet.port)
        wait_for(lambda: len(honest.records) > 1 and len(bystander.records) > 1, "the honest clients to work")
        start = time.monotonic()
        time.sleep(BEFORE)
        begun, cpu = time.monotonic(), self.broker.cpu_seconds()
        context = multiprocessing.get_context("fork")
        processes = []
        for neighbour in neighbours:
            done = context.Value("q", 0)
            process = context.Process(target=neighbour, args=(self.broker.port, done), daemon=True)
            process.start()
            processes.append((process, done))
        time.sleep(STORM)
        ended, cpu = time.monotonic(), self.broker.cpu_seconds() - cpu
        open_in_storm = self.broker.status()["sessions"]["open"]
        for process, _ in processes:
            os.kill(process.pid, signal.SIGKILL)
            process.join()
        calm = wait_for(lambda: self.broker.status()["sessions"]["open"] <= 4 and time.monotonic(), "the connections to go")
        time.sleep(AFTER)
        over = time.monotonic()
        for client in (honest, bystander):
            client.running = False
            client.join(PATIENCE)
            self.assertFalse(client.is_alive())
            self.assertIsNone(client.error)
        before, during, after = (part_ms(honest.records, [span]) for span in ((start, begun), (begun, ended), (calm, over)))
        beside, beside_after = (part_ms(bystander.records, [span]) for span in ((begun, ended), (ended, over)))
        print("%s: %s done; p99 of an honest record %.1f ms before, %.1f ms during (x %.1f), %.1f ms after, of one at a quiet broker "
              "%.1f ms during; of a heartbeat %.1f ms before, %.1f ms during; %d connections then, %.1f s until they were gone; broker "
              "%.2f s of %.0f s, peak %d KiB" % (
                  what, " + ".join(str(done.value) for _, done in processes), before, during, during / before, after, beside,
                  part_ms(honest.beats, [(start, begun)]), part_ms(honest.beats, [(begun, ended)]), open_in_storm,
                  calm - ended, cpu, ended - begun, self.peak_kib()))
        self.assertTrue(all(done.value > 0 for _, done in processes))
        status = wait_for(self.at_rest, "memory to be given back")
        if not SANITIZED:
            self.not_held_up(during, before, beside)
            self.not_held_up(after, before, beside_after)
            self.assertLess(calm - ended, max(CALM_MAX, CALM_COMMITS_MAX * beside_after / 1000))
            self.assertLess(self.peak_kib(), peak_kib_max)
        for broker in (self.broker, self.quiet):
            self.assertEqual(broker.stop(), 0, broker.log())
        return status

    def test_ten_thousand_connections_are_opened_and_closed_every_second(self):
        status = self.storm("10,000 connections a second")
        self.assertEqual(status["sessions"]["refused_total"], 0)
        self.assertLess(len(self.broker.log().splitlines()), 200)  # lines wear flash out, too

    def test_everything_is_fetched_and_read_at_a_byte_a_second(self):
        self.storm("everything fetched, read at 1 byte/s")

    def test_connections_are_left_half_open(self):
        self.storm("half-open connections")

    def test_fifty_members_join_and_leave_every_second(self):
        self.storm("50 members join and leave every second")

    def test_fifty_members_of_the_consumer_protocol_join_and_leave_every_second(self):
        self.storm("50 consumers (KIP-848) join and leave")

    def test_ten_thousand_topics_are_named_in_one_request(self):
        self.storm("10,000 topics in one request")

    def test_ten_thousand_topics_are_asked_about_in_every_way(self):
        # All settings of all topics are an answer of 14 MB.
        self.storm("10,000 topics asked about", RSS_KIB_MAX + 14 * 1024)

    def test_ten_thousand_groups_commit(self):
        self.storm("10,000 groups")

    def test_a_group_of_a_thousand_members_of_the_consumer_protocol_changes_every_second(self):
        self.storm("a group of 1,000 consumers (KIP-848)")

    def test_a_group_of_a_thousand_members_changes_every_second(self):
        self.storm("a group of 1,000 members")

    def test_members_join_and_never_sync(self):
        self.storm("members join and never sync")

    def test_a_megabyte_of_metadata_comes_with_each_commit(self):
        self.storm("commits with 1 MB of metadata")


if __name__ == "__main__":
    unittest.main()
