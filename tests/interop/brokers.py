"""The servers that the lanes talk to: leatd, and a real Apache Kafka. Both can be killed and started again in place."""
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "kafka"))
from free_ports import free_ports  # noqa: E402

START_SECONDS_MAX = 30
PR_SET_PDEATHSIG = 1


def dies_with_parent():
    """For Popen(preexec_fn=...): a lane that is ended by a time-out leaves no process behind."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


class Leatd:
    """One leatd on a free port with a data folder of its own."""

    name = "leatd"

    def __init__(self, program, folder, config=None, flags=(), budget="256MiB"):
        self.program, self.folder, self.config = program, folder, config
        self.flags = ["--budget", budget, *flags]
        self.data = os.path.join(folder, "data")
        self.log = os.path.join(folder, "leatd.log")
        self.process = None
        self.port = None

    @property
    def bootstrap(self):
        return "127.0.0.1:%d" % self.port

    def start(self):
        os.makedirs(self.folder, exist_ok=True)
        for _ in range(3):  # the port may be taken between the look and the bind
            self.port = free_ports(1)[0]
            if self._launch():
                return self
        raise SystemExit("leatd does not start:\n" + self.tail())

    def _launch(self):
        command = [self.program, "--data", self.data, "--listen", self.bootstrap] + self.flags
        if self.config:
            command += ["--config", self.config]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            preexec_fn=dies_with_parent)
        end = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < end:
            if self.process.poll() is not None:
                return False
            if answers(self.port):
                return True
            time.sleep(0.02)
        self.kill()
        return False

    def kill(self):
        self.process.kill()
        self.process.wait()

    def again(self):
        if not self._launch():
            raise SystemExit("leatd does not start again on its data:\n" + self.tail())

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()

    def tail(self):
        with open(self.log, errors="replace") as log:
            return "".join(log.readlines()[-30:])


class Kafka:
    """One Apache Kafka 4.3.1 through kafka.sh."""

    name = "kafka"

    def __init__(self, folder, settings=()):
        self.folder, self.settings = folder, list(settings)

    def _sh(self, *words):
        done = subprocess.run(["sh", os.path.join(HERE, "kafka", "kafka.sh"), *words], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, text=True, timeout=400,
                              env={**os.environ, "LEAT_KAFKA_OWNER": str(os.getpid())})
        if done.returncode:
            raise SystemExit("kafka.sh %s failed; the log is in %s/log" % (words[0], self.folder))
        return done.stdout.strip()

    def start(self):
        self.bootstrap = self._sh("start", self.folder, *self.settings)
        self.port = int(self.bootstrap.rsplit(":", 1)[1])
        return self

    def listen_behind(self, port, settings=()):
        """While it is stopped: gives it a second listener, whose clients are told to go to `port`; returns its own port."""
        own = free_ports(1)[0]
        path = os.path.join(self.folder, "server.properties")
        with open(path, encoding="utf-8") as file:
            there = dict(line.strip().split("=", 1) for line in file if "=" in line)
        with open(path, "a", encoding="utf-8") as file:  # the last line of a name counts
            file.write("listeners=%s,BEHIND://127.0.0.1:%d\n" % (there["listeners"], own))
            file.write("advertised.listeners=%s,BEHIND://127.0.0.1:%d\n" % (there["advertised.listeners"], port))
            file.write("listener.security.protocol.map=%s,BEHIND:PLAINTEXT\n" % there["listener.security.protocol.map"])
            file.writelines(setting + "\n" for setting in settings)
        return own

    def kill(self):
        self._sh("kill", self.folder)

    def again(self):
        self._sh("again", self.folder)

    def stop(self):
        self._sh("stop", self.folder)

    def tail(self):
        with open(os.path.join(self.folder, "log"), errors="replace") as log:
            return "".join(log.readlines()[-30:])
