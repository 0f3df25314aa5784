"""The programs of the demo: leatd as gateway and as center, Apache Kafka as center, the device program."""
import ctypes
import json
import os
import random
import signal
import socket
import subprocess
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
KAFKA_SH = os.path.join(HERE, "..", "..", "tests", "interop", "kafka", "kafka.sh")


def dies_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: no process outlives the demo


def free_port():
    """Below the ephemeral range: a killed server finds its port free when it comes back."""
    for port in random.SystemRandom().sample(range(15000, 32000), 300):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise SystemExit("no free TCP port on the loopback")


def answers(bootstrap):
    host, port = bootstrap.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), timeout=0.5).close()
        return True
    except OSError:
        return False


def proc_figure(pid, file, name):
    try:
        with open("/proc/%d/%s" % (pid, file), encoding="ascii") as lines:
            for line in lines:
                if line.startswith(name + ":"):
                    return int(line.split()[1])
    except (OSError, ValueError):
        pass
    return 0


class Leatd:
    def __init__(self, program, name, data, folder, config=None, budget="256MiB"):
        self.program, self.name, self.data, self.config, self.budget = program, name, data, config, budget
        self.log = os.path.join(folder, name + ".log")
        self.bootstrap = "127.0.0.1:%d" % free_port()
        self.process = None
        self.written_before = 0  # bytes that earlier lives of this process wrote
        self.rss_peak_kib = 0

    def start(self):
        command = [self.program, "--data", self.data, "--listen", self.bootstrap, "--budget", self.budget]
        if self.config:
            command += ["--config", self.config]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            preexec_fn=dies_with_parent, start_new_session=True)
        end = time.monotonic() + 30
        while not answers(self.bootstrap):
            if self.process.poll() is not None or time.monotonic() > end:
                raise SystemExit("%s does not start; the end of %s:\n%s" % (self.name, self.log, tail(self.log)))
            time.sleep(0.02)

    def again(self):
        self.start()

    def sample(self):
        if self.process and self.process.poll() is None:
            self.rss_peak_kib = max(self.rss_peak_kib, proc_figure(self.process.pid, "status", "VmHWM"))

    def rss_kib(self):
        return proc_figure(self.process.pid, "status", "VmRSS")

    def bytes_written(self):
        """What the process had written to its storage (the kernel's count), over all its lives."""
        return self.written_before + proc_figure(self.process.pid, "io", "write_bytes")

    def kill(self):
        self.sample()
        self.written_before = self.bytes_written()
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Kafka:
    name = "center"

    def __init__(self, folder, jars):
        self.folder = os.path.join(folder, "kafka")
        self.environment = {**os.environ, "LEAT_KAFKA_JARS": jars, "LEAT_KAFKA_OWNER": str(os.getpid())}
        self.rss_peak_kib = 0

    def _sh(self, verb):
        done = subprocess.run(["sh", KAFKA_SH, verb, self.folder], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              text=True, env=self.environment)
        if done.returncode:
            raise SystemExit("Kafka: `kafka.sh %s` failed; its log is %s/log" % (verb, self.folder))
        return done.stdout.strip()

    def start(self):
        self.bootstrap = self._sh("start")

    def again(self):
        self._sh("again")

    def kill(self):
        self._sh("kill")

    def stop(self):
        self._sh("stop")

    def pid(self):
        with open(os.path.join(self.folder, "pid"), encoding="ascii") as file:
            return int(file.read())

    def sample(self):
        try:
            self.rss_peak_kib = max(self.rss_peak_kib, proc_figure(self.pid(), "status", "VmHWM"))
        except OSError:
            pass

    def rss_kib(self):
        return proc_figure(self.pid(), "status", "VmRSS")


class Device:
    """linux-agent: its stats are JSON lines on stdout, of which the newest is kept."""

    def __init__(self, program, folder, bootstrap, seconds, run_id):
        self.acks = os.path.join(folder, "acks.tsv")
        self.log = os.path.join(folder, "linux-agent.log")
        self.stats = {}
        self.rss_peak_kib = 0
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [program, "--bootstrap", bootstrap, "--duration", str(seconds), "--acks", self.acks, "--run-id", run_id,
                 "--stats"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                preexec_fn=dies_with_parent, start_new_session=True)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            try:
                self.stats = {**self.stats, **json.loads(line)}
            except ValueError:
                continue

    def sample(self):
        if self.process.poll() is None:
            self.rss_peak_kib = max(self.rss_peak_kib, proc_figure(self.process.pid, "status", "VmHWM"))

    def acked_lines(self):
        try:
            with open(self.acks, "rb") as file:
                return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
        except FileNotFoundError:
            return 0

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Arrivals:
    """How many records the center holds, asked once a second in a thread of its own: kcat -Q, the sum of the ends."""

    def __init__(self, center):
        self.center, self.count, self.topics = center, 0, []
        self.running = True
        self.thread = threading.Thread(target=self._ask, daemon=True)
        self.thread.start()

    def _ask(self):
        while self.running:
            if answers(self.center.bootstrap):
                self.count = max(self.count, self.ask())
            time.sleep(0.7)

    def ask(self):
        listing = subprocess.run(["timeout", "4", "kcat", "-L", "-J", "-q", "-b", self.center.bootstrap], stdin=subprocess.DEVNULL,
                                 capture_output=True, text=True)
        try:
            topics = json.loads(listing.stdout)["topics"]
        except (ValueError, KeyError):
            return 0
        words = []
        for topic in topics:
            if topic["topic"].startswith("__"):
                continue
            for partition in topic["partitions"]:
                words += ["-t", "%s:%d:-1" % (topic["topic"], partition["partition"])]
        if not words:
            return 0
        ends = subprocess.run(["timeout", "4", "kcat", "-Q", "-b", self.center.bootstrap, *words], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True)
        total = 0
        for line in ends.stdout.splitlines():  # "topic [0] offset 123"
            words = line.split()
            if len(words) >= 4 and words[-1].isdigit():
                total += int(words[-1])
        return total

    def stop(self):
        self.running = False
        self.thread.join(10)


def tail(path, lines=15):
    try:
        with open(path, errors="replace") as file:
            return "".join(file.readlines()[-lines:])
    except OSError:
        return ""
