"""A leatd process of one's own: started on free ports, killed, restarted, looked at. Standard library only."""
import json
import os
import re
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

LEATD = os.environ["LEATD"]
SANITIZED = bool(os.environ.get("LEAT_SANITIZED"))
PATIENCE = 60.0  # seconds a healthy step may take on a busy machine before the test calls it broken


def na(reason):
    """A step this machine cannot do. Said, never skipped quietly."""
    print("n/a: " + reason, file=sys.stderr)


def wait_for(condition, what, patience=PATIENCE):
    end = time.monotonic() + patience
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError("waited %.0f s for %s" % (patience, what))


class Leatd:
    """One data folder, any number of processes on it, one after the other."""

    def __init__(self, folder, *flags, env=None, listen="127.0.0.1:0", budget="64MiB"):
        self.budget = budget
        self.folder, self.flags, self.env, self.listen = folder, list(flags), env or {}, listen
        self.wrap = []  # what starts leatd, if not we ourselves
        self.limits = None  # (soft, hard) of open files
        self.data = os.path.join(folder, "data")
        self.process, self.port, self.http, self.starts = None, 0, 0, 0

    def spawn(self, *more):
        self.starts += 1
        self.log_path = os.path.join(self.folder, "leatd.%d.log" % self.starts)
        command = self.wrap + [LEATD, "--data", self.data, "--listen", self.listen, "--budget", self.budget] + self.flags + list(more)
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                            env=dict(os.environ, **self.env), preexec_fn=self.set_limits if self.limits else None)
        return self

    def set_limits(self):
        resource.setrlimit(resource.RLIMIT_NOFILE, self.limits)

    def start(self, *more):
        self.spawn(*more)
        line = wait_for(lambda: self.process.poll() is not None or re.search(r"listens on \S+:(\d+)", self.log()), "the start")
        if line is True:
            raise AssertionError("leatd left with %s:\n%s" % (self.process.returncode, self.log()))
        self.port = int(line.group(1))
        status = re.search(r"status on http://127\.0\.0\.1:(\d+)/", self.log())
        self.http = int(status.group(1)) if status else 0
        self.listen = "127.0.0.1:%d" % self.port  # the next start comes back where clients expect it
        return self

    def log(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(PATIENCE)

    def stop(self, patience=PATIENCE):
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(patience)

    def close(self):
        if self.alive():
            self.kill()

    def get(self, path):
        with urllib.request.urlopen("http://127.0.0.1:%d%s" % (self.http, path), timeout=PATIENCE) as answer:
            return answer.read().decode()

    def status(self):
        return json.loads(self.get("/status"))

    def cpu_seconds(self):
        with open("/proc/%d/stat" % self.process.pid) as stat:
            fields = stat.read().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_kib(self):
        with open("/proc/%d/status" % self.process.pid) as status:
            return int(re.search(r"VmRSS:\s*(\d+)", status.read()).group(1))


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="process_test.", dir=os.getcwd())
        self.addCleanup(shutil.rmtree, self.folder, True)

    def leatd(self, *flags, **options):
        folder = tempfile.mkdtemp(dir=self.folder)
        made = Leatd(folder, *flags, **options)
        self.addCleanup(made.close)
        return made


# ---------------------------------------------------------------------------------------- the protocol, by hand

def connect(port):
    client = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def text(value):
    data = value.encode()
    return struct.pack(">h", len(data)) + data


def request(key, version, correlation_id, body=b"", client_id="process-test"):
    frame = struct.pack(">hhi", key, version, correlation_id) + text(client_id) + body
    return struct.pack(">i", len(frame)) + frame


def read_exactly(client, count):
    data = b""
    while len(data) < count:
        piece = client.recv(count - len(data))
        if not piece:
            raise ConnectionError("closed after %d of %d bytes" % (len(data), count))
        data += piece
    return data


def answer(client):
    return read_exactly(client, struct.unpack(">i", read_exactly(client, 4))[0])


def api_versions(port):
    """Asks what every client asks first; the number of APIs the broker speaks."""
    with connect(port) as client:
        client.sendall(request(18, 0, 77))
        reply = answer(client)
    correlation_id, error, count = struct.unpack(">ihi", reply[:10])
    assert correlation_id == 77 and error == 0 and count > 0, reply
    return count


def fetch(topic, offset, wait_ms, correlation_id=1):
    partition = struct.pack(">iqi", 0, offset, 1 << 20)
    body = struct.pack(">iiiib", -1, wait_ms, 1, 1 << 20, 0) + struct.pack(">i", 1) + text(topic) + struct.pack(">i", 1) + partition
    return request(1, 4, correlation_id, body)


# ---------------------------------------------------------------------------------------- kcat

def kcat_produce(port, topic, lines, *settings):
    command = ["kcat", "-b", "127.0.0.1:%d" % port, "-t", topic, "-p", "0", "-P"]
    for setting in ("acks=all",) + settings:
        command += ["-X", setting]
    done = subprocess.run(command, input="".join(line + "\n" for line in lines).encode(), stderr=subprocess.PIPE, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr.decode()


def kcat_consume(port, topic):
    command = ["kcat", "-b", "127.0.0.1:%d" % port, "-t", topic, "-p", "0", "-C", "-e", "-q", "-o", "beginning"]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=PATIENCE).stdout.decode().splitlines()
