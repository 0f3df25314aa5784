"""What the wear bench sets beside leatd, each durable before it acknowledges, each in its own idiom: NATS JetStream, Redis, SQLite.

A peer takes a group of records (case.size of them, over case.topics topics) and returns when all are acknowledged."""
import json
import os
import re
import socket
import sqlite3
import subprocess
import time

from servers import brokers, sh


def value_of(case, number, i):
    """No two alike: SQLite writes nothing for a row that stays what it is."""
    return b"%010d" % (number * case.size + i) + bytes(range(90)) + b"s" * 100


def launch(words, log, port, environment=None):
    with open(log, "ab") as file:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=file, stderr=file, preexec_fn=brokers.dies_with_parent,
                                   env={**os.environ, **(environment or {})})
    end = time.monotonic() + 30
    while not brokers.answers(port):
        if process.poll() is not None or time.monotonic() > end:
            process.kill()
            process.wait()
            raise SystemExit("%s does not start; its log is %s" % (words[0], log))
        time.sleep(0.05)
    return process


class Peer:
    """`note` says what is peculiar about it; `file_per_topic`: in case f each topic is a file of its own."""

    file_per_topic = False
    process = None

    def run(self, case, begin):
        self.prepare(case)
        self.group(case, -1)
        begin()
        start = time.monotonic()
        for number in range(case.groups):
            time.sleep(max(0.0, start + number * case.pace_ms / 1e3 - time.monotonic()))
            self.group(case, number)
        self.settle(case)

    def settle(self, case):
        pass

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()


def keys_of(case, number):
    return ["key-%d" % ((number * case.size + i) % case.keys) for i in range(case.size)]


class Nats(Peer):
    name, file_per_topic = "NATS", True
    note = "JetStream, sync_interval: always; a stream per topic; g: max_msgs_per_subject 1"

    def __init__(self, peers, mount):
        program = os.path.join(peers, "bin", "nats-server")
        self.version = sh(program, "--version").split()[-1]
        self.port = brokers.free_ports(1)[0]
        config = os.path.join(mount, "nats.conf")
        with open(config, "w", encoding="ascii") as file:
            file.write('listen: "127.0.0.1:%d"\njetstream { store_dir: "%s/js", sync_interval: always }\n' % (self.port, mount))
        self.process = launch([program, "-c", config], os.path.join(mount, "nats.log"), self.port)
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        self.lines = self.socket.makefile("rb")
        self.lines.readline()  # INFO
        self.socket.sendall(b'CONNECT {"verbose":false,"pedantic":false}\r\nSUB _INBOX.wear 1\r\n')

    def _publish(self, pairs):
        self.socket.sendall(b"".join(b"PUB %s _INBOX.wear %d\r\n%s\r\n" % (subject.encode(), len(body), body) for subject, body in pairs))

    def _answers(self, count):
        while count:
            words = self.lines.readline().split()
            if words[:1] == [b"PING"]:
                self.socket.sendall(b"PONG\r\n")
            elif words[:1] == [b"MSG"]:
                body = self.lines.read(int(words[-1]) + 2)
                if "error" in json.loads(body):
                    raise SystemExit("NATS: %s" % body.decode())
                count -= 1
            else:
                raise SystemExit("NATS answers %s" % b" ".join(words).decode())

    def prepare(self, case):
        for i in range(case.topics):
            name = "%s-%d" % (case.letter, i)
            settings = {"name": name, "subjects": [name + ".>"], "storage": "file", "retention": "limits", "discard": "old",
                        "max_msgs_per_subject": 1 if case.keys else -1}
            self._publish([("$JS.API.STREAM.CREATE." + name, json.dumps(settings).encode())])
            self._answers(1)

    def group(self, case, number):
        keys = keys_of(case, number) if case.keys else ["value"] * case.size
        self._publish([("%s-%d.%s" % (case.letter, i % case.topics, keys[i]), value_of(case, number, i)) for i in range(case.size)])
        self._answers(case.size)


class Redis(Peer):
    name = "Redis"
    note = "appendfsync always; a stream per topic (XADD), a group is a pipeline; g: SET, then BGREWRITEAOF"

    def __init__(self, peers, mount):
        root = os.path.join(peers, "redis")
        program = os.path.join(root, "usr", "bin", "redis-server")
        environment = {"LD_LIBRARY_PATH": ":".join(
            os.path.join(root, "usr/lib", folder) for folder in ("", os.uname().machine + "-linux-gnu"))}
        if not os.path.exists(program):
            program, environment = "redis-server", {}
        self.port = brokers.free_ports(1)[0]
        self.process = launch([program, "--bind", "127.0.0.1", "--port", str(self.port), "--dir", mount, "--save", "", "--appendonly", "yes",
                               "--appendfsync", "always"], os.path.join(mount, "redis.log"), self.port, environment)
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        self.lines = self.socket.makefile("rb")
        self.version = re.search(r"redis_version:(\S+)", self._info("server")).group(1)

    def _send(self, commands):
        self.socket.sendall(b"".join(
            b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words) for words in commands))

    def _answer(self):
        line = self.lines.readline()
        if line[:1] == b"-" or not line:
            raise SystemExit("Redis: %s" % line.decode())
        return self.lines.read(int(line[1:]) + 2) if line[:1] == b"$" else line

    def _info(self, section):
        self._send([[b"INFO", section.encode()]])
        return self._answer().decode()

    def prepare(self, case):
        pass

    def group(self, case, number):
        if case.keys:
            self._send([[b"SET", key.encode(), value_of(case, number, i)] for i, key in enumerate(keys_of(case, number))])
        else:
            self._send([[b"XADD", b"%s-%d" % (case.letter.encode(), i % case.topics), b"*", b"v", value_of(case, number, i)]
                        for i in range(case.size)])
        for _ in range(case.size):
            self._answer()

    def settle(self, case):
        if not case.keys:
            return
        self._send([[b"BGREWRITEAOF"]])
        self._answer()
        while re.search(r"aof_rewrite_(in_progress|scheduled):1", self._info("persistence")):
            time.sleep(0.1)


class Sqlite(Peer):
    name = "SQLite"
    note = "WAL, synchronous=FULL, in the bench's own process; a table per topic, a group is a transaction; g: INSERT or UPDATE of a row"
    version = sqlite3.sqlite_version

    def __init__(self, _, mount):
        self.database = sqlite3.connect(os.path.join(mount, "wear.db"), isolation_level=None)
        for setting in ("journal_mode=WAL", "synchronous=FULL"):
            self.database.execute("PRAGMA " + setting).fetchall()

    def prepare(self, case):
        for i in range(case.topics):
            self.database.execute("CREATE TABLE %s_%d (%s, value BLOB)" % (
                case.letter, i, "key TEXT PRIMARY KEY" if case.keys else "id INTEGER PRIMARY KEY"))

    def group(self, case, number):
        self.database.execute("BEGIN")
        if case.keys:
            self.database.executemany("INSERT INTO %s_0 VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value" % case.letter,
                                      [(key, value_of(case, number, i)) for i, key in enumerate(keys_of(case, number))])
        else:
            for i in range(case.size):
                self.database.execute("INSERT INTO %s_%d (value) VALUES (?)" % (case.letter, i % case.topics), (value_of(case, number, i),))
        self.database.execute("COMMIT")

    def stop(self):
        self.database.close()
