"""What an honest client feels while others behave badly.   run.sh --storms

The bad neighbours are those of tests/process/neighbours.py. leatd has one core, everybody else the other; the honest client goes
before the neighbours there (SCHED_FIFO), so what it waits for is leatd and its disk, not its turn on a core full of noise.
Every storm gets a fresh leatd. The first row is no storm at all: how far two stretches of quiet differ.

Storm and control alternate, so that a device that is slow for some seconds is slow for both. In the control as many processes as there were neighbours take as much of the others' core as those did, and say
nothing to leatd. What the honest client feels of that is the machine's doing and no broker's; the storm is shown beside both.
"""
import json
import math
import multiprocessing
import os
import re
import shutil
import signal
import sys
import time

from servers import HERE, Disk

BEFORE, STORM, CALM_MAX, AFTER, CONTROL, ROUNDS = 6.0, 4.0, 10.0, 2.0, 4.0, 3  # seconds, and how often storm and control alternate
AIM = 2.0


def modules(leatd):
    """The neighbours and the honest client live with the tests of the process, which name leatd by the environment."""
    os.environ["LEATD"] = leatd
    sys.path.insert(0, os.path.join(HERE, "..", "process"))
    import harness  # noqa: E402
    import honest  # noqa: E402
    import neighbours  # noqa: E402
    return harness, honest, neighbours


def take_the_other_core():
    """The core that is left to leatd; None: there is only one."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        return None
    os.sched_setaffinity(0, {cores[1]})
    return cores[0]


def go_first():
    """By the honest client's own thread: a thread is never born with this, nor are the neighbours."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(10))
    except PermissionError:
        print("n/a: no real-time priority here; the honest client waits for its turn among the neighbours, and that is measured, too")


def cpu_seconds(pid):
    with open("/proc/%d/stat" % pid, encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def hog(share):
    """Takes this share of a core, in pieces as short as a neighbour's."""
    while True:
        began = time.monotonic()
        end = time.thread_time() + 0.005 * share
        while time.thread_time() < end:
            math.sqrt(2)
        time.sleep(max(0.0, began + 0.005 - time.monotonic()) if share < 0.95 else 0)


def one(parts, folder, core, name, scale):
    harness, honest_part, neighbours = parts
    shutil.rmtree(folder, True)
    os.makedirs(folder)
    config = os.path.join(folder, "storm.json")
    with open(config, "w", encoding="utf-8") as file:
        json.dump({"group.initial.rebalance.delay.ms": 0}, file)
    leatd = harness.Leatd(folder, "--http", "127.0.0.1:0", "--config", config, budget="256MiB")
    leatd.wrap = ["taskset", "-c", str(core)]
    processes = []
    try:
        leatd.start()
        harness.kcat_produce(leatd.port, "honest", ["first"])
        prepare, storm = neighbours.STORMS.get(name, (None, []))
        if prepare:
            prepare(leatd.port)
        client = honest_part.Honest(leatd.port, go_first)
        time.sleep(1)
        start = time.monotonic()
        time.sleep(BEFORE * scale)
        spans = {"before": [(start, time.monotonic())], "during": [], "after": [], "control": []}
        figures = {"done": 0, "cpu_percent": 0.0, "calm_s": 0.0, "neighbours_cpu_percent": 0.0}
        context = multiprocessing.get_context("fork")

        def run(targets, *values):
            for target, value in zip(targets, values):
                processes.append(context.Process(target=target, args=value, daemon=True))
                processes[-1].start()

        def end():
            for process in processes:
                os.kill(process.pid, signal.SIGKILL)
                process.join()
            processes.clear()
        for _ in range(ROUNDS):
            begun, cpu = time.monotonic(), leatd.cpu_seconds()
            done = [context.Value("q", 0) for _ in storm]
            run(storm, *[(leatd.port, one_done) for one_done in done])
            time.sleep(STORM * scale)
            ended = time.monotonic()
            shares = [cpu_seconds(process.pid) / (ended - begun) for process in processes]
            figures["cpu_percent"] += (leatd.cpu_seconds() - cpu) / (ended - begun) * 100 / ROUNDS
            figures["neighbours_cpu_percent"] += sum(shares) * 100 / ROUNDS
            figures["done"] += sum(one_done.value for one_done in done)
            end()
            calm = harness.wait_for(lambda: leatd.status()["sessions"]["open"] <= 3 and time.monotonic(), "the neighbours to be gone", CALM_MAX)
            figures["calm_s"] = max(figures["calm_s"], calm - ended)
            time.sleep(AFTER * scale)
            over = time.monotonic()
            run([hog] * len(shares), *[(share,) for share in shares])
            time.sleep(CONTROL * scale)
            for when, span in (("during", (begun, ended)), ("after", (calm, over)), ("control", (over, time.monotonic()))):
                spans[when].append(span)
            end()
        client.running = False
        client.join(harness.PATIENCE)
        if client.error is not None:
            raise SystemExit("%s: the honest client failed: %s" % (name, client.error))
        with open("/proc/%d/status" % leatd.process.pid, encoding="ascii") as status:
            peak = int(re.search(r"VmHWM:\s*(\d+)", status.read()).group(1))
        figures["peak_kib"] = peak
        for kind in ("records", "beats"):
            for when, of in spans.items():
                for share in (50, 99):
                    figures["%s_%s_p%d_ms" % (kind, when, share)] = honest_part.part_ms(getattr(client, kind), of, share / 100)
        return figures
    finally:
        for process in processes:
            process.kill()
        leatd.close()
        shutil.rmtree(folder, True)


def cell(figures, kind):
    before, during = (figures["%s_%s_p99_ms" % (kind, when)] for when in ("before", "during"))
    return "%7.2f %7.2f  x %-5.2f" % (before, during, during / before)


def beside(figures):
    """Of a record: the p99 beside processes that only take time, and how many times as long it was in the storm."""
    control, during = figures["records_control_p99_ms"], figures["records_during_p99_ms"]
    return "%7.2f  x %-5.2f" % (control, during / control)


def compare(options, folder):
    parts = modules(os.path.abspath(options.leatd))
    core = take_the_other_core()
    if core is None:
        print("n/a: storms on one core; leatd and its neighbours would only measure how they share it")
        return {}
    disk, result = Disk(folder, "storm-disk", 1), {}
    print("\n%-40s %25s %16s %25s %7s %11s %9s %6s %10s" % (
        "storm: p99 in ms before, during, ratio", "a record, acks=all", "control, ratio", "a heartbeat", "after", "CPU %, theirs", "peak KiB",
        "gone s", "done"))
    try:
        for name in ["none"] + list(parts[2].STORMS):
            if options.only not in name:
                continue
            figures = result[name] = one(parts, os.path.join(disk.mount, "run"), core, name, 0.4 if options.quick else 1.0)
            print("%-40s %25s %16s %25s %7.2f %6.0f %5.0f %9s %6.1f %10s" % (
                name, cell(figures, "records"), beside(figures), cell(figures, "beats"), figures["records_after_p99_ms"],
                figures["cpu_percent"], figures["neighbours_cpu_percent"], "{:,}".format(figures["peak_kib"]), figures["calm_s"], "{:,}".format(figures["done"])), flush=True)
    finally:
        disk.tear_down()
    for kind, than in (("before", "before"), ("control", "beside processes that take as much time")):
        worst = [name for name, of in result.items() if of["records_during_p99_ms"] > AIM * of["records_%s_p99_ms" % kind]]
        print("a record's p99 is more than twice that %s in: %s" % (than, ", ".join(worst) or "none of them"))
    return result
