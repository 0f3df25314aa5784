"""How much leatd and others write to a flash device for the same durable records: device bytes per payload byte, flushes per
1,000 records.   See run.sh --wear.

Each server has a loop-mounted, journaled ext4 of its own, as it comes, and runs alone. Every group of records is acknowledged
before the next one begins, so a server whose device saw fewer flushes than groups has lied, and ends the bench.
"""
import argparse
import dataclasses
import json
import os
import platform
import signal
import subprocess
import sys
import time

import peers
from servers import Disk, brokers, sh

VALUE_BYTES = 200
BUDGET, SMALL_BUDGET = "128MiB", "16MiB"  # compaction works on what left the open segment: a small log has small ones


@dataclasses.dataclass
class Case:
    letter: str
    text: str
    goal: float
    groups: int
    size: int
    topics: int = 1
    pace_ms: int = 0
    keys: int = 0
    interval: str = "auto"


CASES = [
    Case("a", "each synced alone", 20.8, 4000, 1),
    Case("b", "groups of 50", 1.28, 200, 50),
    Case("c", "groups of 256", 1.20, 100, 256),
    Case("d", "100/s, every 100 ms", 2.2, 600, 10, pace_ms=100, interval="100ms"),
    Case("e", "100/s, every second", 1.36, 30, 100, pace_ms=1000, interval="1s"),
    Case("f", "10 topics, 1 each per 100 ms", 2.2, 600, 10, topics=10, pace_ms=100, interval="100ms"),
    Case("g", "1,000 keys, 10 updates", 1.6, 200, 50, keys=1000),
]
FILE_PER_TOPIC_FACTOR = 20


class KafkaProtocol:
    """leatd and Kafka: the same librdkafka program."""

    file_per_topic = False

    def _prepare(self, case):
        for i in range(case.topics):
            compact = ["cleanup.policy=compact", "min.cleanable.dirty.ratio=0.01"] if case.keys else []
            sh(self.client, "create", self.broker.bootstrap, "%s-%d" % (case.letter, i), "1", *compact, *self.topic_settings(case))

    def send(self, case, begin):
        self._prepare(case)
        process = subprocess.Popen(
            [self.client, "wear", self.broker.bootstrap, case.letter] +
            [str(n) for n in (case.groups, case.size, case.topics, case.pace_ms, case.keys)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=brokers.dies_with_parent)
        if process.stdout.readline().strip() != "ready":
            raise SystemExit("%s: the client could not begin" % self.name)
        begin()
        out, _ = process.communicate("\n")
        if process.returncode or json.loads(out)["records"] != case.groups * case.size:
            raise SystemExit("%s: case %s failed" % (self.name, case.letter))

    def run(self, case, begin):
        self.send(case, begin)
        if case.keys:
            self._wait_for_compaction(case)

    def _wait_for_compaction(self, case):
        seen, steady = case.groups * case.size, 0
        for _ in range(20):
            time.sleep(5)
            now = json.loads(sh(self.client, "count", self.broker.bootstrap, case.letter + "-0", "0"))["records"]
            steady = steady + 1 if now == seen else 0
            seen = now
            if steady >= 4 and seen < case.groups * case.size / 2:
                self.kept = seen
                return
        raise SystemExit("%s: %d of %d records are still there: nothing was compacted" % (self.name, seen, case.groups * case.size))

    def stop(self):
        self.broker.stop()


class Leatd(KafkaProtocol):
    name = "leatd"
    note = "as it comes; d, e, f: log.commit.interval.ms as long as the pace; g: a log of %s" % SMALL_BUDGET

    def __init__(self, options, mount):
        self.options, self.mount, self.client = options, mount, options.client
        self.version = sh(options.leatd, "--version").split()[-1]
        self.broker = self.running = None

    def topic_settings(self, case):
        return []

    def launch(self, budget, interval):
        """Starts it anew only where the settings differ: the segment that a start finds open is not zeroed ahead."""
        if self.running == (budget, interval):
            return
        if self.broker:
            self.broker.stop()
        self.running = (budget, interval)
        config = os.path.join(self.mount, "leatd.json")
        with open(config, "w", encoding="ascii") as file:
            json.dump({"log.commit.interval.ms": interval}, file)
        self.broker = brokers.Leatd(self.options.leatd, os.path.join(self.mount, budget), config=config, budget=budget)
        self.broker.start()

    def go_around(self, budget):
        """A log's first pass also turns reserved blocks into written ones, once in its life. Twice around, since a checkpoint's segment
        comes later than the others; in commits of one page, since larger ones leave some at the end of each segment, and at
        once, since `auto` would begin to group after 60,000 commits."""
        self.launch(budget, 0)
        for part in range(5):
            some = Case("around-%d" % part, "", 0, int(budget[:-3]) * 110, 10)
            self.send(some, lambda: None)
            sh(self.client, "delete", self.broker.bootstrap, some.letter + "-0", "0")
            time.sleep(1.5)

    def run(self, case, begin):
        self.launch(SMALL_BUDGET if case.keys else BUDGET, case.interval)
        super().run(case, begin)

    def stop(self):
        if self.broker:
            self.broker.stop()


class Kafka(KafkaProtocol):
    name, file_per_topic = "Kafka", True
    note = "flush.messages=1; a partition per topic; g: segment.bytes=1 MiB, so that there is something to compact"
    version = "4.3.1"

    def __init__(self, options, mount):
        self.client = options.client
        self.broker = brokers.Kafka(os.path.join(mount, "kafka"), ["log.cleaner.backoff.ms=3000"])
        self.broker.start()

    def topic_settings(self, case):
        return ["flush.messages=1"] + (["segment.bytes=1048576", "segment.ms=5000"] if case.keys else [])


def measure(server, disk, case):
    before = {}

    def begin():
        sh("sync", "-f", disk.mount)
        before.update(disk.counts())

    server.run(case, begin)
    flushes = disk.counts()["flushes"] - before["flushes"]
    sh("sync", "-f", disk.mount)  # what is in the page cache is written to the device all the same
    if flushes < case.groups:
        raise SystemExit("%s, case %s: %d flushes for %d acknowledged groups: this does not measure durable writes" % (
            server.name, case.letter, flushes, case.groups))
    records = case.groups * case.size
    return {"bytes": (disk.counts()["bytes"] - before["bytes"]) / (records * VALUE_BYTES), "flushes": flushes * 1000 / records}


def run_server(make, name, folder, cases, result):
    disk, server = None, None
    try:
        disk = Disk(folder, "wear-" + name, 2, written=False)
        server = make(disk.mount)
        if name == "leatd":
            server.launch(BUDGET, "auto")
            first = dataclasses.replace(CASES[0], letter="first", groups=min(1000, cases[0].groups))
            result["first"] = measure(server, disk, first)
            server.go_around(BUDGET)
            server.go_around(SMALL_BUDGET)
        result["version"], result["note"], result["file_per_topic"] = server.version, server.note, server.file_per_topic
        for case in cases:
            result[case.letter] = measure(server, disk, case)
            print("  %-7s %s %-30s %8.2f bytes per payload byte %9.1f flushes per 1,000" % (
                name, case.letter, case.text, result[case.letter]["bytes"], result[case.letter]["flushes"]), flush=True)
    finally:
        if server:
            server.stop()
        if disk:
            disk.tear_down()


def show(result, cases):
    """The table; returns the goals that were missed."""
    missed = []
    names = list(result)
    print("\ndevice bytes per payload byte (flushes per 1,000 records), records of %d B" % VALUE_BYTES)
    print("%-34s %6s" % ("", "goal") + "".join("%20s" % ("%s %s" % (name, result[name]["version"])) for name in names))
    for case in cases:
        cells = ["%.2f (%.0f)" % (result[name][case.letter]["bytes"], result[name][case.letter]["flushes"]) for name in names]
        print("%-34s %6.2f" % (case.letter + "  " + case.text, case.goal) + "".join("%20s" % cell for cell in cells))
        if result["leatd"][case.letter]["bytes"] > case.goal:
            missed.append("%s: %.2f, goal %.2f" % (case.letter, result["leatd"][case.letter]["bytes"], case.goal))
        if case.topics > 1:
            for name in names:
                ratio = result[name][case.letter]["bytes"] / result["leatd"][case.letter]["bytes"]
                if result[name]["file_per_topic"] and ratio < FILE_PER_TOPIC_FACTOR:
                    missed.append("%s: %s writes %.1f times as much, goal %d" % (case.letter, name, ratio, FILE_PER_TOPIC_FACTOR))
    print("a in the first pass of leatd's log: %.2f (%.0f)" % (result["leatd"]["first"]["bytes"], result["leatd"]["first"]["flushes"]))
    for name in names:
        print("  %s: %s" % (name, result[name]["note"]))
    return missed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--leatd", required=True)
    parser.add_argument("--client", required=True)
    parser.add_argument("--peers", required=True, help="what fetch_peers.sh has fetched")
    parser.add_argument("--quick", action="store_true", help="a tenth of the groups: to see that the bench works; says little")
    parser.add_argument("--only", default="", help="some servers, by name and comma (leatd is always there)")
    options = parser.parse_args()
    if os.geteuid() != 0:
        raise SystemExit("the bench needs root: it mounts loop devices and counts their flushes")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = os.path.abspath(options.folder)
    cases = [dataclasses.replace(case, groups=case.groups if case.keys else case.groups // 10) for case in CASES] if options.quick else CASES
    makers = {"leatd": lambda mount: Leatd(options, mount), "NATS": lambda mount: peers.Nats(options.peers, mount),
              "Redis": lambda mount: peers.Redis(options.peers, mount), "SQLite": lambda mount: peers.Sqlite(options.peers, mount),
              "Kafka": lambda mount: Kafka(options, mount)}
    result = {}
    began = time.monotonic()
    for name, make in makers.items():
        if name == "leatd" or not options.only or name in options.only.split(","):
            run_server(make, name, folder, cases, result.setdefault(name, {}))
    missed = show(result, cases)
    with open(os.path.join(folder, "wear.json"), "w", encoding="utf-8") as file:
        json.dump(result, file, indent=2)
    print("\nLinux %s, ext4 as mkfs makes it; %d s; figures in %s" % (
        platform.release(), time.monotonic() - began, os.path.join(folder, "wear.json")))
    if missed and not options.quick:
        raise SystemExit("goals missed: " + "; ".join(missed))


if __name__ == "__main__":
    main()
