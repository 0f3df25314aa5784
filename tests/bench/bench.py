"""leatd beside Apache Kafka 4.3.1: the same clients, alternating pairs, medians and ratios.   See run.sh.

Kafka runs twice: as it comes (acknowledged from memory, no sync) and with flush.messages=1 on the topic, which is what
leatd promises always. Root only: each server has a loop-mounted, journaled ext4 of its own.
"""
import argparse
import json
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import time

import groups
import storms
from servers import Disk, Server, brokers, sh

HERE = os.path.dirname(os.path.abspath(__file__))
KAFKA_SH = os.path.join(HERE, "..", "interop", "kafka", "kafka.sh")
PAIRS = 5
BUDGET_GIB = 1


def client(options, *words):
    return json.loads(sh(options.client, *[str(word) for word in words]))


def java_produce(server, topic, records, size):
    out = sh("sh", KAFKA_SH, "run", "org.apache.kafka.tools.ProducerPerformance", "--topic", topic, "--num-records", str(records),
             "--record-size", str(size), "--throughput", "-1", "--command-property", "bootstrap.servers=" + server.bootstrap,
             "acks=all", "linger.ms=5")
    rate = float(re.findall(r"([\d.]+) records/sec", out)[-1])
    return {"records": records, "records_per_s": rate}


def scenarios(options):
    """(name, records, partitions, action(server, topic) -> figures)"""
    scale = 0.1 if options.quick else 1.0
    small, large = int(400_000 * scale), int(100_000 * scale)
    rows = []
    # The Java client sends batches of 16 KiB: Kafka with a flush for each needs a minute for what librdkafka sends in one.
    for name, records, java_records, size in (("200 B", small, small // 4, 200), ("1 KiB", large, large * 2 // 5, 1024)):
        for connections in (1, 4):
            rows.append(("produce %s, librdkafka x %d" % (name, connections), records, connections,
                         lambda s, t, r=records, z=size, c=connections: client(options, "produce", s.bootstrap, t, r, z, c)))
        rows.append(("produce %s, Java perf-test" % name, java_records, 1,
                     lambda s, t, r=java_records, z=size: java_produce(s, t, r, z)))
    rows.append(("end to end 500/s", None, 1,
                 lambda s, t: client(options, "latency", s.bootstrap, t, 2 if options.quick else 8, 500)))
    return rows


def median(runs, field):
    return statistics.median(run[field] for run in runs) if all(field in run for run in runs) else None


def run_scenario(row, servers, pairs):
    """Every pair visits every server once, in turn; the first visit is the warm-up and is not counted."""
    name, records, partitions, action = row
    runs = {server.name: [] for server in servers}
    for turn in range(pairs + 1):
        for server in servers if turn % 2 == 0 else reversed(servers):
            topic = "b-%s" % os.urandom(4).hex()
            server.make_topic(topic, partitions)
            disk_rate = server.disk.durable_bytes_per_s()
            figures = server.measured(lambda: action(server, topic))
            figures["disk_mb_per_s"] = disk_rate / 1e6
            if records and partitions == 1 and "librdkafka" in name:
                read = client(OPTIONS, "consume", server.bootstrap, topic, records)
                figures["consume_per_s"] = read["records_per_s"]
            server.drop_topic(topic)
            if turn > 0:
                runs[server.name].append(figures)
    result = {}
    for server in servers:
        mine = runs[server.name]
        per_million = None
        if records:
            per_million = statistics.median(run["cpu_s"] for run in mine) / records * 1e6
        result[server.name] = {"records_per_s": median(mine, "records_per_s"), "consume_per_s": median(mine, "consume_per_s"),
                               "cpu_s_per_million": per_million, "device_bytes": median(mine, "device_bytes"),
                               "disk_mb_per_s": median(mine, "disk_mb_per_s"),
                               "flushes": median(mine, "flushes"), "p50_ms": median(mine, "p50_ms"), "p99_ms": median(mine, "p99_ms")}
    return result


def show(name, result, first):
    print("\n%s" % name)
    for field, unit in (("records_per_s", "records/s"), ("consume_per_s", "records/s read"), ("cpu_s_per_million", "broker CPU s per million"),
                        ("disk_mb_per_s", "MB/s durable, disk alone"),
                        ("device_bytes", "bytes to the device"), ("flushes", "flushes"), ("p50_ms", "ms p50"), ("p99_ms", "ms p99")):
        cells = []
        for server, figures in result.items():
            value = figures[field]
            if value is None:
                break
            base = result[first][field]
            ratio = "" if server == first or not value else "  (leatd: x %.2f)" % (base / value)
            cells.append("%s %s%s" % (server, "{:,.2f}".format(value) if value < 1000 else "{:,.0f}".format(value), ratio))
        if cells:
            print("  %-26s %s" % (unit, "   ".join(cells)), flush=True)


def table(scenarios):
    """All rows in one table: records/s or ms, and leatd's ratio to both Kafkas; below 1 leatd is slower (or, for ms, faster)."""
    print("\n%-34s %10s %22s %22s %14s" % ("", "leatd", "kafka", "kafka flush=1", "CPU vs kafka"))
    for name, result in scenarios.items():
        for field, suffix in (("records_per_s", ""), ("consume_per_s", ", read"), ("p50_ms", ", p50 ms"), ("p99_ms", ", p99 ms")):
            mine = result["leatd"][field]
            if mine is None or any(result[other][field] is None for other in ("kafka", "kafka flush=1")):
                continue
            text = "{:,.2f}" if field.endswith("ms") else "{:,.0f}"
            cells = [(text + " (x {:.2f})").format(result[other][field], mine / result[other][field])
                     for other in ("kafka", "kafka flush=1")]
            cpu = [result[other]["cpu_s_per_million"] for other in ("leatd", "kafka")]
            share = "x %.2f" % (cpu[0] / cpu[1]) if field == "records_per_s" and all(cpu) else ""
            print("%-34s %10s %22s %22s %14s" % (name.replace("produce ", "") + suffix, text.format(mine), *cells, share))


def sockets(server, verb, count, seconds, *more):
    process = subprocess.Popen([sys.executable, os.path.join(HERE, "sockets.py"), verb, server.bootstrap, str(count), str(seconds),
                                *map(str, more)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                               preexec_fn=brokers.dies_with_parent)
    if process.stdout.readline().strip() != "ready":
        raise SystemExit("sockets.py %s %d did not come up against %s" % (verb, count, server.name))
    return process


def memory(options, folder):
    """leatd alone, fresh: what it weighs idle, loaded, with a backlog, with idle connections; how fast it starts."""
    disk = Disk(folder, "memory", 4, written=False)
    figures = {"binary_bytes": os.path.getsize(options.leatd)}
    try:
        stripped = os.path.join(folder, "leatd.stripped")
        sh("strip", "-o", stripped, options.leatd)
        figures["binary_stripped_bytes"] = os.path.getsize(stripped)
        broker = brokers.Leatd(options.leatd, disk.mount, budget="2GiB")
        broker.start()
        server = Server("leatd", broker, disk, options.client)
        broker.stop()
        starts = []
        for _ in range(PAIRS):
            begin = time.monotonic()
            broker.process = subprocess.Popen([options.leatd, "--data", broker.data, "--listen", broker.bootstrap, "--budget", "2GiB"],
                                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                              preexec_fn=brokers.dies_with_parent)
            while not brokers.answers(broker.port):
                if time.monotonic() - begin > 30:
                    raise SystemExit("leatd does not start")
                time.sleep(0.0005)
            starts.append((time.monotonic() - begin) * 1e3)
            broker.stop()
        figures["start_ms"] = statistics.median(starts)
        broker.again()
        time.sleep(1)
        figures["rss_idle_kib"] = server.rss_kib()
        server.make_topic("loaded", 100)
        client(options, "trickle", server.bootstrap, "loaded", 3 if options.quick else 10, 100)
        figures["rss_loaded_kib"] = server.rss_kib()
        server.make_topic("backlog", 1)
        client(options, "produce", server.bootstrap, "backlog", 100_000 if options.quick else 1_000_000, 1024, 1)
        figures["rss_backlog_kib"] = server.rss_kib()
        before = server.rss_kib()
        held = sockets(server, "idle", 1000 if options.quick else 10_000, 4)
        figures["rss_per_idle_connection_bytes"] = (server.rss_kib() - before) * 1024 / (1000 if options.quick else 10_000)
        held.wait()
        time.sleep(1)
        server.make_topic("quiet", 1)
        held = sockets(server, "poll", 1000, 12, "quiet", 0)
        time.sleep(1)
        cpu, begin = server.cpu_seconds(), time.monotonic()
        time.sleep(10)
        figures["cpu_percent_1000_pollers"] = (server.cpu_seconds() - cpu) / (time.monotonic() - begin) * 100
        held.wait()
        broker.stop()
    finally:
        if "broker" in locals():
            broker.stop()
        disk.tear_down()
    return figures


def compare(options, folder, result):
    disks, running = [], []
    try:
        disks += [Disk(folder, "leatd-disk", BUDGET_GIB + 1), Disk(folder, "kafka-disk", 4)]
        leatd = brokers.Leatd(options.leatd, disks[0].mount, budget="%dGiB" % BUDGET_GIB)
        kafka = brokers.Kafka(os.path.join(disks[1].mount, "kafka"))
        for broker in (leatd, kafka):
            broker.start()
            running.append(broker)
        servers = [Server("leatd", leatd, disks[0], options.client),
                   Server("kafka", kafka, disks[1], options.client, must_flush=False),
                   Server("kafka flush=1", kafka, disks[1], options.client, ["flush.messages=1"])]
        servers[0].write_log_once(BUDGET_GIB << 10)
        for row in scenarios(options):
            if options.only in row[0]:
                result["scenarios"][row[0]] = run_scenario(row, servers, 2 if options.quick else PAIRS)
                show(row[0], result["scenarios"][row[0]], "leatd")
        table(result["scenarios"])
        print("\nmemory: kafka idle after the load %s KiB" % "{:,}".format(servers[1].rss_kib()))
        result["kafka_rss_kib"] = servers[1].rss_kib()
    finally:
        for broker in running:
            broker.stop()
        for disk in disks:
            disk.tear_down()


def main():
    global OPTIONS
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--leatd", required=True)
    parser.add_argument("--client", required=True)
    parser.add_argument("--groups-client", required=True)
    parser.add_argument("--groups", action="store_true", help="only groups, commits and metadata")
    parser.add_argument("--storms", action="store_true", help="only bad neighbours, leatd alone")
    parser.add_argument("--quick", action="store_true", help="a tenth of the records, two pairs: to see that the bench works")
    parser.add_argument("--pairs", type=int, default=PAIRS, help="turns that are counted, of groups; the default is what the tables have")
    parser.add_argument("--only", default="", help="scenarios whose name has this in it; `memory` for the last part")
    OPTIONS = options = parser.parse_args()
    if os.geteuid() != 0:
        raise SystemExit("the bench needs root: it mounts loop devices and counts their flushes")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = os.path.abspath(options.folder)
    os.makedirs(folder, exist_ok=True)
    result = {"machine": "%s, %d cores, Linux %s" % (cpu_name(), os.cpu_count(), platform.release()), "scenarios": {}}
    began = time.monotonic()
    whole = not (options.groups or options.storms)
    if whole and options.only != "memory":
        compare(options, folder, result)
    if options.groups or (whole and not options.only):
        result["groups"] = groups.compare(options, folder, 2 if options.quick else options.pairs)
    if whole and (not options.only or options.only in "memory"):
        result["leatd"] = memory(options, folder)
        for name, value in result["leatd"].items():
            print("  %-32s %s" % (name, "{:,.1f}".format(value) if isinstance(value, float) else "{:,}".format(value)))
    if options.storms or (whole and not options.only):
        result["storms"] = storms.compare(options, folder)  # last: it takes a core and goes before others on it
    with open(os.path.join(folder, "result.json"), "w", encoding="utf-8") as file:
        json.dump(result, file, indent=2)
    print("\n%s; load %.1f; %d s; figures in %s" % (result["machine"], os.getloadavg()[0], time.monotonic() - began,
                                                  os.path.join(folder, "result.json")))


def cpu_name():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        found = re.search(r"model name\s*: (.*)", file.read())
    return found.group(1) if found else platform.machine()


if __name__ == "__main__":
    main()
