"""A client that says exactly what it is told to: requests as JSON, through Kafka's own encoder and decoder
(kafka/Messages.java), on connections that may wait. What brokers invent (ids) gets names, so that answers of two brokers
can be compared."""
import base64
import glob
import json
import os
import socket
import struct
import subprocess
import threading
import time

from brokers import HERE, dies_with_parent

ANSWER_SECONDS_MAX = 8
ZERO_ID = "AAAAAAAAAAAAAAAAAAAAAA"


class Codec:
    """One process for both sides, which ask it in turn."""

    def __init__(self):
        self.lock = threading.Lock()
        jars = os.environ.get("LEAT_KAFKA_JARS") or os.path.join(HERE, "../../build/kafka-4.3.1")
        if not glob.glob(os.path.join(jars, "kafka-clients-*.jar")):
            raise SystemExit("no jars of Kafka in %s" % jars)
        self.process = subprocess.Popen(
            ["java", "-Xmx96m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
             "-cp", os.path.join(jars, "*"), os.path.join(HERE, "kafka", "Messages.java")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=dies_with_parent)

    def ask(self, line):
        with self.lock:
            self.process.stdin.write(json.dumps(line) + "\n")
            self.process.stdin.flush()
            answer = json.loads(self.process.stdout.readline())
        if isinstance(answer, dict) and "$error" in answer:
            raise ValueError("%s: %s" % (answer["$error"], {k: v for k, v in line.items() if k != "answer"}))
        return answer

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)


class Connection:
    def __init__(self, codec, port):
        self.codec = codec
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS_MAX)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.waiting = []
        self.correlation = 0

    def send(self, key, version, body, client="differential"):
        self.correlation += 1
        frame = base64.b64decode(self.codec.ask(
            {"key": key, "version": version, "id": self.correlation, "client": client, "body": body}))
        self.socket.sendall(struct.pack(">i", len(frame)) + frame)
        self.waiting.append((key, version))

    def take(self, seconds=ANSWER_SECONDS_MAX):
        """The next answer; "closed" or "nothing" where there is none."""
        key, version = self.waiting[0]
        frame = self.frame(seconds)
        if not isinstance(frame, bytes):
            return frame
        self.waiting.pop(0)
        return self.codec.ask({"key": key, "version": version, "answer": base64.b64encode(frame).decode()})

    def frame(self, seconds=ANSWER_SECONDS_MAX):
        self.socket.settimeout(seconds)
        data = b""
        try:
            while len(data) < 4 or len(data) < 4 + struct.unpack(">i", data[:4])[0]:
                more = self.socket.recv((4 + struct.unpack(">i", data[:4])[0] if len(data) >= 4 else 4) - len(data))
                if not more:
                    return "closed"
                data += more
        except socket.timeout:
            return "nothing" if not data else "torn"
        except ConnectionError:
            return "closed"
        return data[4:]

    def ask(self, key, version, body, seconds=ANSWER_SECONDS_MAX):
        self.send(key, version, body)
        return self.take(seconds)

    def raw(self, frame, seconds=ANSWER_SECONDS_MAX):
        self.socket.sendall(struct.pack(">i", len(frame)) + frame)
        return self.frame(seconds)


class Side:
    """One of the two brokers, in one case: its connections, the names of what it invented, what was seen."""

    def __init__(self, codec, broker, case):
        self.codec, self.broker, self.case = codec, broker, case
        self.connections = {}
        self.names = {ZERO_ID: ZERO_ID}
        self.has_base, self.epoch_base = False, 0  # epochs of groups are compared from here
        self.has = {}  # how many partitions a member of a group has
        self.seen = []

    def at(self, name="main"):
        if name not in self.connections:
            self.connections[name] = Connection(self.codec, self.broker.port)
        return self.connections[name]

    def ask(self, key, version, /, at="main", **body):
        answer = self.at(at).ask(key, version, body)
        if isinstance(answer, str):
            self.connections.pop(at).socket.close()
        return answer

    def send(self, key, version, at="main", **body):
        self.at(at).send(key, version, body)

    def take(self, at="main", seconds=ANSWER_SECONDS_MAX):
        return self.at(at).take(seconds)

    def see(self, what, answer, *without):
        """Notes what is to be the same on both sides."""
        self.seen.append((what, plain(answer, self.names, without, self.epoch_base)))
        return answer

    def call(self, what, key, version, at="main", without=(), body=None, **fields):
        return self.see(what, self.ask(key, version, at, **(body or fields)), *without)

    def name(self, value, name):
        self.names[value] = name
        return value

    def topic(self, suffix="", partitions=1, configs=None):
        """A new topic of this case; returns its name."""
        name = self.case + suffix
        answer = self.ask(19, 7, topics=[{"name": name, "numPartitions": partitions, "replicationFactor": 1, "configs": [
            {"name": k, "value": v} for k, v in (configs or {}).items()]}], timeoutMs=10000)
        assert answer["topics"][0]["errorCode"] == 0, answer
        self.name(answer["topics"][0]["topicId"], "id of " + name)
        for _ in range(100):  # Kafka's broker learns of it a moment later
            got = self.ask(2, 7, replicaId=-1, topics=[{"name": name, "partitions": [{"partitionIndex": p, "timestamp": -1} for p in range(partitions)]}])
            if not any(p["errorCode"] for p in got["topics"][0]["partitions"]):
                return name
            time.sleep(0.05)
        raise AssertionError(str(got)[:300])

    def id_of(self, topic):
        return next(k for k, v in self.names.items() if v == "id of " + topic)

    def close(self):
        for connection in self.connections.values():
            connection.socket.close()


TEXTS = ("errorMessage", "documentation", "batchIndexErrorMessage")
EPOCHS = ("memberEpoch", "groupEpoch", "assignmentEpoch")


def plain(answer, names, without, base=0):
    """An answer without what may differ: invented ids by their names, texts of errors as "text", lists in one order."""
    if isinstance(answer, dict):
        return {k: "text" if k in TEXTS and v else None if k in TEXTS else
                v - base if k in EPOCHS and v > 0 else plain(v, names, without, base)
                for k, v in answer.items() if k not in without}
    if isinstance(answer, list):
        return sorted((plain(one, names, without, base) for one in answer), key=lambda one: json.dumps(one, sort_keys=True))
    if isinstance(answer, str):
        return names.get(answer, answer)
    return answer


def differences(one, other, path=""):
    """Where two plain answers differ, a line each."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in list(one) + [k for k in other if k not in one]:
            yield from differences(one.get(key, "(none)"), other.get(key, "(none)"), path + "." + key)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for i, (a, b) in enumerate(zip(one, other)):
            yield from differences(a, b, "%s[%d]" % (path, i))
    elif one != other:
        yield "%s: Kafka %s, leatd %s" % (path, json.dumps(one), json.dumps(other))


def b64(data):
    return base64.b64encode(data).decode()


def subscription(*topics):
    """What a classic consumer says of itself (ConsumerProtocolSubscription v0), in Base64."""
    body = struct.pack(">hi", 0, len(topics)) + b"".join(struct.pack(">h", len(t)) + t.encode() for t in topics)
    return b64(body + struct.pack(">i", -1))


def assignment(**topics):
    body = struct.pack(">hi", 0, len(topics))
    for topic, partitions in topics.items():
        body += struct.pack(">h", len(topic)) + topic.encode() + struct.pack(">i%di" % len(partitions), len(partitions), *partitions)
    return b64(body + struct.pack(">i", -1))


def varint(value):
    value = (value << 1) ^ (value >> 63)
    value &= (1 << 64) - 1
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


CRC_TABLE = []
for i in range(256):
    for _ in range(8):
        i = (i >> 1) ^ (0x82F63B78 if i & 1 else 0)
    CRC_TABLE.append(i)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 255] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def batch(*values, producer=(-1, -1, -1), times=None, key=b"k", attributes=0, count=None, crc=0, magic=2, base=0):
    """A record batch (magic 2) of some values; `times`: their time stamps."""
    times = times or [int(time.time() * 1000)] * len(values)
    records = b""
    for i, value in enumerate(values):
        record = (b"\0" + varint(times[i] - times[0]) + varint(i) + (varint(-1) if key is None else varint(len(key)) + key) +
                  (varint(-1) if value is None else varint(len(value)) + value) + b"\0")
        records += varint(len(record)) + record
    tail = struct.pack(">hiqqqhii", attributes, len(values) - 1, times[0], max(times), *producer, len(values) if count is None else count) + records
    return b64(struct.pack(">qiibI", base, len(tail) + 9, -1, magic, crc32c(tail) ^ crc) + tail)
