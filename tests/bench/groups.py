"""Groups, commits and metadata of leatd beside Kafka 4.3.1; what many members weigh.   run.sh --groups

Both answer the same program, groups_bench, which speaks for every member itself; both have
group.initial.rebalance.delay.ms=0. leatd has every assignment and commit on its disk before it answers, Kafka answers from
memory. Members beat every 5 ms while a group changes, so what is measured is the broker and not a heartbeat's interval.
"""
import contextlib
import json
import os
import statistics
import subprocess
import time

from servers import Disk, Server, brokers, sh

PARTITIONS_OF_A_COMMIT = 1000
TOPICS_MAX = 100  # of the metadata row, with as many partitions each but the last, which leaves 50 to __consumer_offsets
HELD = (100, 10)  # groups, members of each
BUDGET_MIB = 768  # of leatd's log


def ask(options, server, verb, *words):
    return json.loads(sh(options.groups_client, verb, server.bootstrap, *[str(word) for word in words]))


def rows(options):
    """(name, what is better, [(field, unit, aim)], action): an aim is a ratio of leatd to Kafka, or its inverse for times."""
    rounds, seconds = (2, 1) if options.quick else (5, 2)
    for members in (2, 20, 200):
        yield ("group of %d" % members, "less", [("formed_ms", "forms, ms", 3), ("left_ms", "one leaves, ms", 3)],
               lambda s, n=members: ask(options, s, "rebalance", n, rounds))
    for name, partitions, depth, connections in (
            ("commits of 1, one at a time", 1, 1, 1), ("commits of 1, 16 groups x 8", 1, 8, 16),
            ("commits of 1,000, one at a time", PARTITIONS_OF_A_COMMIT, 1, 1),
            ("commits of 1,000, 4 groups x 4", PARTITIONS_OF_A_COMMIT, 4, 4)):
        yield (name, "more", [("per_s", "commits/s", 3)],
               lambda s, p=partitions, d=depth, c=connections: ask(options, s, "commits", "bench-offsets", p, d, c, seconds))
    for name, depth in (("one at a time", 1), ("8 on the way", 8)):
        yield ("metadata, %s" % name, "more", [("per_s", "answers/s", None)],
               lambda s, d=depth: dict(ask(options, s, "metadata", d, seconds)))


def measure(row, servers, pairs):
    """{server: {field: median}}; in turns, the first of which is the warm-up."""
    runs = {server.name: [] for server in servers}
    for turn in range(pairs + 1):
        for server in servers if turn % 2 == 0 else reversed(servers):
            cpu = server.cpu_seconds()
            figures = row[3](server)
            figures["cpu_s"] = server.cpu_seconds() - cpu
            if turn > 0:
                runs[server.name].append(figures)
    return {name: {field: statistics.median(run[field] for run in mine) for field in mine[0]} for name, mine in runs.items()}


def show(name, better, fields, result):
    for field, unit, aim in fields:
        mine, theirs = (result[server][field] for server in ("leatd", "kafka"))
        ratio = (theirs / mine if better == "less" else mine / theirs) if mine and theirs else 0
        more = "" if "p50_ms" not in result["leatd"] else "  (p50 / p99 ms: %s against %s)" % tuple(
            "%.2f / %.2f" % (result[server]["p50_ms"], result[server]["p99_ms"]) for server in ("leatd", "kafka"))
        word = "" if aim is None else "aim x %d" % aim if ratio >= aim else "aim x %d MISSED" % aim
        if "cpu_s" in result["leatd"]:
            more += "  CPU s: %.2f against %.2f" % tuple(result[server]["cpu_s"] for server in ("leatd", "kafka"))
        print("  %-46s %12s %12s   x %-7.2f %-14s%s" % (name + ", " + unit, "{:,.1f}".format(mine), "{:,.1f}".format(theirs),
                                                     ratio, word, more), flush=True)


@contextlib.contextmanager
def pair_of_servers(options, folder):
    config = os.path.join(folder, "groups.json")
    with open(config, "w", encoding="utf-8") as file:
        json.dump({"group.initial.rebalance.delay.ms": 0}, file)
    disks, running = [], []
    try:
        disks += [Disk(folder, "leatd-disk", 1), Disk(folder, "kafka-disk", 6)]  # a commit of 1,000 positions is 100 KB there
        leatd = brokers.Leatd(options.leatd, disks[0].mount, config=config, budget="%dMiB" % BUDGET_MIB)
        kafka = brokers.Kafka(os.path.join(disks[1].mount, "kafka"))
        for broker in (leatd, kafka):
            broker.start()
            running.append(broker)
        yield [Server("leatd", leatd, disks[0], options.client), Server("kafka", kafka, disks[1], options.client, must_flush=False)]
    finally:
        for broker in running:
            broker.stop()
        for disk in disks:
            disk.tear_down()


def held(options, server, seconds):
    """Groups at rest; the server's RSS and its share of a core meanwhile."""
    process = subprocess.Popen([options.groups_client, "hold", server.bootstrap, *map(str, HELD), str(seconds + 4)],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, preexec_fn=brokers.dies_with_parent)
    if not process.stdout.readline().startswith("ready"):
        raise SystemExit("%d groups of %d did not come to rest against %s" % (*HELD, server.name))
    time.sleep(2)
    cpu, begin = server.cpu_seconds(), time.monotonic()
    time.sleep(seconds)
    percent = (server.cpu_seconds() - cpu) / (time.monotonic() - begin) * 100
    rss = server.rss_kib()
    if process.wait(60):
        raise SystemExit("a group at rest was disturbed by %s" % server.name)
    return {"cpu_percent": percent, "rss_kib": rss}


def compare(options, folder, pairs):
    result = {}
    print("\n  %-46s %12s %12s   %s" % ("groups", "leatd", "kafka", "leatd is better by"))
    with pair_of_servers(options, folder) as servers:
        fresh = servers[0].broker
        result["held, fresh"] = {"leatd": held(options, servers[0], 2 if options.quick else 10)}
        result["held, fresh"]["kafka"] = held(options, servers[1], 2 if options.quick else 10)
        servers[0].write_log_once(BUDGET_MIB)
        for server in servers:
            server.make_topic("bench-offsets", PARTITIONS_OF_A_COMMIT)
        for row in rows(options):
            if row[0] == "metadata, one at a time":
                # Last, because everything after it would carry 10,000 partitions. The topic of the commits counts as ten.
                for server in servers:
                    last = (9 if options.quick else TOPICS_MAX - PARTITIONS_OF_A_COMMIT // TOPICS_MAX) - 1
                    for number in range(last + 1):
                        server.make_topic("bench-many-%d" % number, TOPICS_MAX if number < last else TOPICS_MAX // 2)
            if options.only in row[0]:
                result[row[0]] = measure(row, servers, pairs)
                show(row[0], row[1], row[2], result[row[0]])
        cells = result["held, fresh"]
        show("1,000 members at rest", "less", [("cpu_percent", "% of a core", None)], cells)
        print("  RSS of a fresh leatd with %d groups of %d: %s KiB%s; kafka %s KiB" % (
            *HELD, "{:,}".format(cells["leatd"]["rss_kib"]), "" if cells["leatd"]["rss_kib"] <= 12 * 1024 else " (aim 12 MiB MISSED)",
            "{:,}".format(cells["kafka"]["rss_kib"])), flush=True)
        if fresh.process.poll() is not None:
            raise SystemExit("leatd ended meanwhile")
    return result
