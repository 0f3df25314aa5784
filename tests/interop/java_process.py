"""Kafka's one-shot tools in one process (kafka/Tools.java): sixty of them take the time that ten processes take to start."""
import os
import subprocess

from brokers import dies_with_parent
from lane import Failed
from lane_java import KAFKA_SH, TOOLS

MILLISECONDS_MAX = 30000  # a tool that retries until its time is over takes a minute


class Tools:
    """`with Tools(lane) as tools`. Each tool is told the lane's broker; the names are those of kafka-tools."""

    def __init__(self, lane):
        self.bootstrap = lane.broker.bootstrap
        program = os.path.join(os.path.dirname(KAFKA_SH), "Tools.java")
        self.process = subprocess.Popen(["sh", KAFKA_SH, "run", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        preexec_fn=dies_with_parent)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def run(self, *words):
        """(exit code, what was said)"""
        self.process.stdin.write("\t".join(words).encode() + b"\n")
        self.process.stdin.flush()
        head = self.process.stdout.readline().split()
        if len(head) != 4:
            raise Failed("the process of the tools is gone: " + " ".join(words))
        code, took, out, err = map(int, head)
        said = self.process.stdout.read(out + err).decode()
        if code == -1 or took > MILLISECONDS_MAX or "UnknownServerException" in said:
            raise Failed("exit code %d after %d ms: %s\n%s" % (code, took, " ".join(words), said[-2000:]))
        return code, said

    def tells(self, name, *words, wants=(), code=0):
        """What a tool says, which has each part in `wants` and ends with that code."""
        told = ["--bootstrap-server", self.bootstrap]
        words = [words[0], *told, *words[1:]] if name == "ClusterTool" else [*told, *words]
        had, said = self.run(name if name.startswith("kafka.") else TOOLS + name, *words)
        missing = [part for part in wants if part not in said]
        if had != code or missing:
            raise Failed("exit code %d, %d is due; %r is not in what %s %s says:\n%s" % (
                had, code, missing, name, " ".join(words), said[-2000:]))
        return said

    def refuses(self, name, *words, why):
        return self.tells(name, *words, wants=[why], code=1)
