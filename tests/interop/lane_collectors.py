"""Log collectors of Debian: rsyslog-kafka and syslog-ng-mod-rdkafka follow a growing file into a topic (fetch.sh unpacks them)."""
import os
import signal
import subprocess
import sys
import time

from brokers import dies_with_parent
from group_steps import until
from lane import Failed, want_equal

FETCHED = os.path.join(os.path.dirname(os.path.dirname(os.environ.get("LEAT_PYTHON", sys.executable))), "collectors")
SECONDS_MAX = 120
# Both carry librdkafka. What was not acknowledged when the broker was killed is sent again, and must not stand there twice.
CLIENT = {"acks": "all", "enable.idempotence": "true", "message.timeout.ms": "120000", "reconnect.backoff.max.ms": "500",
          "queue.buffering.max.ms": "20"}

RSYSLOG = """
global(workDirectory="%(folder)s")
module(load="imfile" mode="polling" pollingInterval="1")
module(load="omkafka")
template(name="line" type="string" string="%%msg%%")
input(type="imfile" file="%(input)s" tag="lines")
action(type="omkafka" broker=["%(bootstrap)s"] topic="%(topic)s" partitions.number="1" template="line" resubmitOnFailure="on"
       keepFailedMessages="on" failedMsgFile="%(folder)s/failed" closeTimeout="30000" action.resumeRetryCount="-1"
       confParam=[%(client)s])
"""
SYSLOG_NG = """@version: 3.38
source lines { file("%(input)s" follow-freq(0.5) flags(no-parse) log-iw-size(10000)); };
destination topic { kafka-c(bootstrap-servers("%(bootstrap)s") topic("%(topic)s") message("$MESSAGE") workers(1)
                          flush-timeout-on-shutdown(30000) config(%(client)s)); };
log { source(lines); destination(topic); flags(flow-control); };
"""


def here(*paths):
    """The unpacked one, else that of the system."""
    return [FETCHED + path for path in paths if os.path.exists(FETCHED + path)] + [path for path in paths if os.path.exists(path)]


class Collector:
    """In the foreground, as the user that runs the test, with a folder of its own: no service, no socket."""

    def __init__(self, lane, name):
        self.lane, self.name = lane, name
        self.folder = os.path.join(lane.work, name)
        os.makedirs(self.folder)
        self.input, self.topic, self.wrote = os.path.join(self.folder, "lines.log"), name + "-lines", []
        pair = '"%s=%s"' if name == "rsyslog" else '"%s" => "%s"'
        text = RSYSLOG if name == "rsyslog" else SYSLOG_NG
        self.config = os.path.join(self.folder, "conf")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(text % {"folder": self.folder, "input": self.input, "topic": self.topic, "bootstrap": lane.broker.bootstrap,
                               "client": (", " if name == "rsyslog" else " ").join(pair % item for item in CLIENT.items())})

    def start(self):
        triplet = "/usr/lib/" + os.uname().machine + "-linux-gnu"
        libraries = [FETCHED + path for path in (triplet, "/lib/" + os.uname().machine + "-linux-gnu", "/usr/lib/syslog-ng")]
        if self.name == "rsyslog":
            command = here("/usr/sbin/rsyslogd")[:1] + ["-n", "-f", self.config, "-i", self.folder + "/pid", "-M",
                                                        ":".join(here(triplet + "/rsyslog"))]
        else:
            modules = [os.path.join(base, version) for base in here("/usr/lib/syslog-ng") for version in sorted(os.listdir(base))
                       if version[0].isdigit()]
            command = here("/usr/sbin/syslog-ng")[:1] + [
                "-F", "--no-caps", "-f", self.config, "-R", self.folder + "/persist", "-p", self.folder + "/pid", "-c",
                self.folder + "/control", "--module-path", ":".join(modules)]
        self.log = os.path.join(self.folder, "log")
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=dies_with_parent,
                                            env={**os.environ, "LD_LIBRARY_PATH": ":".join(libraries)})

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise Failed("no end 60 s after SIGTERM\n" + self.tail()) from None

    def append(self, count):
        first = len(self.wrote)
        more = [b"line %d of %s %s" % (i, self.name.encode(), b"~" * (i * 13 % 160)) for i in range(first, first + count)]
        with open(self.input, "ab") as file:
            file.write(b"".join(line + b"\n" for line in more))
        self.wrote += more

    def read(self):
        try:
            out = self.lane.run(["kcat", "-C", "-e", "-q", "-b", self.lane.broker.bootstrap, "-t", self.topic, "-p", "0", "-f", "%s\n"])
        except Failed:  # no such topic yet
            return []
        return out.split(b"\n")[:-1]

    def arrived(self):
        def all_there():
            if self.process.poll() is not None:
                raise Failed("it ended by itself, exit code %d\n%s" % (self.process.returncode, self.tail()))
            time.sleep(0.2)  # each look is a kcat
            return len(self.read()) >= len(self.wrote)
        try:
            until(all_there, "last line in the topic", SECONDS_MAX)
        except AssertionError as late:
            raise Failed("%s: %d of %d are there\n%s" % (late, len(self.read()), len(self.wrote), self.tail())) from None
        want_equal(self.wrote, self.read())

    def tail(self):
        with open(self.log, errors="replace") as log:
            return "".join(log.readlines()[-15:])


def follow(lane, name):
    collector = Collector(lane, name)
    try:
        collector.append(300)
        with lane.step(name, "read-back"):
            collector.start()
            collector.arrived()
        with lane.step(name, "sigkill"):
            for part in range(10):
                collector.append(100)
                time.sleep(0.2)
                if part == 4:
                    lane.kill_and_restart()
            collector.arrived()
        with lane.step(name, "resume"):
            collector.end()
            collector.append(200)
            collector.start()
            collector.arrived()
    finally:
        if hasattr(collector, "process"):
            collector.process.kill()


def run(lane, options):
    for name in ("rsyslog", "syslog-ng"):
        follow(lane, name)
