"""What every lane shares: made-up records, steps with results, client processes, the kill in the middle."""
import base64
import collections
import contextlib
import json
import os
import random
import subprocess
import time
import traceback

from brokers import dies_with_parent

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
PROCESS_SECONDS_MAX = 150


def text_records(seed, count):
    """`count` (key, value) pairs of printable bytes, up to 1.5 KB, some repetitive; no other seed makes the same."""
    make = random.Random(seed)
    records = []
    for i in range(count):
        size = make.choice([0, 1, 7, 40, 40, 200, 1100])
        body = base64.b64encode(make.randbytes(size)) if i % 2 else b"sensor" * (size // 6)
        records.append((b"key-%d" % (i % 17), b"%d.%d|%s" % (seed, i, body)))
    return records


def lines_of(records):
    return b"".join(key + b"\t" + value + b"\n" for key, value in records)


def ordered_unique(want, have):
    """None if `have` is exactly `want`; else what differs, in words."""
    if have == want:
        return None
    wanted, got = collections.Counter(want), collections.Counter(have)
    return "%d records wanted, %d read: %d missing, %d extra, first difference at %d" % (
        len(want), len(have), (wanted - got).total(), (got - wanted).total(),
        next((i for i, (a, b) in enumerate(zip(want, have)) if a != b), min(len(want), len(have))))


class Failed(Exception):
    pass


class Lane:
    """Collects results; `with lane.step(client, step)` turns an exception into a failed result and goes on."""

    def __init__(self, name, broker, work):
        self.name, self.broker, self.work = name, broker, work
        self.results = []
        self.started = time.monotonic()

    def step(self, client, step):
        return Step(self, client, step)

    def record(self, client, step, text):
        print("%6.1f s  %s %s: %s" % (time.monotonic() - self.started, client, step, text), flush=True)
        self.results = [r for r in self.results if (r[0], r[1]) != (client, step) or r[2] != "ok"]
        if not any((r[0], r[1]) == (client, step) for r in self.results):
            self.results.append([client, step, text])

    def failed(self):
        return [r for r in self.results if r[2] != "ok"]

    def save(self, results_dir):
        os.makedirs(results_dir, exist_ok=True)
        with open(os.path.join(results_dir, self.name + ".json"), "w", encoding="utf-8") as file:
            json.dump(self.results, file)

    def run(self, command, feed=None, seconds=PROCESS_SECONDS_MAX):
        """Runs a client to its end and returns its stdout; a failure shows the end of what it said."""
        try:
            done = subprocess.run(command, input=feed, stdin=subprocess.DEVNULL if feed is None else None,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=seconds,
                                  preexec_fn=dies_with_parent)
        except subprocess.TimeoutExpired as late:
            raise Failed("no end after %d s: %s\n%s" % (seconds, show(command), tail(late.stderr))) from None
        if done.returncode:
            raise Failed("exit code %d: %s\n%s%s" % (done.returncode, show(command), tail(done.stdout), tail(done.stderr)))
        return done.stdout

    def spawn(self, command, **how):
        self.stderr_path = os.path.join(self.work, "client.err")
        with open(self.stderr_path, "ab") as err:
            return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=how.get("stdout", subprocess.PIPE),
                                    stderr=how.get("stderr", err),
                                    preexec_fn=dies_with_parent)

    def finish(self, process, seconds=PROCESS_SECONDS_MAX):
        """Waits for a spawned client; returns what it said on stdout."""
        try:
            out, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise Failed("no end after %d s: %s\n%s" % (seconds, show(process.args), self.client_errors())) from None
        if process.returncode:
            raise Failed("exit code %d: %s\n%s%s" % (process.returncode, show(process.args), tail(out), self.client_errors()))
        return out

    def client_errors(self):
        with open(self.stderr_path, "rb") as err:
            return tail(err.read())

    def kill_and_restart(self, pause=1.0):
        self.broker.kill()
        time.sleep(pause)
        self.broker.again()

    def converse(self, client, command):
        """Drives a client program that runs its steps itself. It prints, a line each: `step NAME ok` or `step NAME why
        not`, and `kill`, upon which the broker is killed and started again while the program goes on; it may read
        `killed` from its stdin when the broker is back."""
        process = self.spawn(command)
        try:
            for line in process.stdout:
                words = line.decode(errors="replace").strip().split(" ", 2)
                if words[0] == "kill":
                    self.kill_and_restart()
                    with contextlib.suppress(BrokenPipeError):
                        process.stdin.write(b"killed\n")
                        process.stdin.flush()
                elif words[0] == "step" and len(words) == 3:
                    self.record(client, words[1], words[2])
                    if words[2] != "ok":
                        print(self.client_errors(), flush=True)  # what it said itself up to there
                else:
                    print("         ", " ".join(words), flush=True)
            code = process.wait(PROCESS_SECONDS_MAX)
        finally:
            process.kill()
        if code:
            print(self.client_errors())
            self.record(client, "go-on", "the program ended with exit code %d" % code)


class Step:
    def __init__(self, lane, client, step):
        self.lane, self.client, self.name = lane, client, step

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is None:
            self.lane.record(self.client, self.name, "ok")
        elif issubclass(kind, Failed):
            self.lane.record(self.client, self.name, str(error) or "failed")
        elif issubclass(kind, Exception):
            traceback.print_exception(kind, error, trace)
            self.lane.record(self.client, self.name, "%s: %s" % (kind.__name__, error))
        else:
            return False
        return True


def want_equal(want, have):
    text = ordered_unique(want, have)
    if text:
        raise Failed(text)


def show(command):
    text = " ".join(str(c) for c in command)
    return text if len(text) < 300 else text[:300] + "..."


def tail(data, lines=15):
    return "\n".join((data or b"").decode(errors="replace").splitlines()[-lines:])
