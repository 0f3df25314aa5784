"""Consumer groups and administration through our own command line tool, against whatever server the lane has.

The members are `leat consume --group` processes; one of Kafka's own console consumers joins them for a while. All of it in
the classic protocol, and in that of KIP-848.
"""
import json
import os
import signal
import threading
import time

import lane_java_groups
from lane import Failed
from lane_java import KAFKA_SH, TOOLS

PARTITIONS = 4
SECONDS_MAX = 90
CHANGES = ("assigned", "revoked", "lost")  # as --verbose tells them


def until(condition, what):
    end = time.monotonic() + SECONDS_MAX
    while not condition():
        if time.monotonic() > end:
            raise Failed("no %s within %d s" % (what, SECONDS_MAX))
        time.sleep(0.02)


class Member:
    """`leat consume --group`: what it owns as it tells it, and what it read."""

    def __init__(self, lane, options, group, topic, instance=None, more=()):
        words = [options.leat, "--bootstrap", lane.broker.bootstrap, "--json", "consume", topic, "--group", group,
                 "--follow", "--from-beginning", "--verbose", *options.protocol, *more]
        words += ["--group-instance", instance] if instance else []
        self.told = os.path.join(lane.work, "member-%d.err" % time.monotonic_ns())
        with open(self.told, "wb") as err:
            self.process = lane.spawn(words, stderr=err)
        self.read = []  # (partition, offset, value)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            record = json.loads(line)
            self.read.append((record["partition"], record["offset"], record["value"]))

    def lines(self):
        with open(self.told, encoding="utf-8") as told:
            return told.read().splitlines()

    def owned(self):
        owned = set()
        for line in self.lines():
            words = line.split()
            if words[1] not in CHANGES:
                continue
            numbers = {int(word.rsplit("-", 1)[1]) for word in words[2:]}
            owned = owned | numbers if words[1] == "assigned" else owned - numbers
        return owned

    def changes(self):
        return sum(line.split()[1] in CHANGES for line in self.lines())

    def end(self):
        """Commits and, unless static, leaves."""
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait(60):
            raise Failed("a member ended with exit code %d:\n%s" % (self.process.returncode, "\n".join(self.lines())))


def share(*members):
    owned = [m.owned() for m in members]
    return sorted(len(o) for o in owned) if set().union(*owned) == set(range(PARTITIONS)) else None


def distinct(*members):
    return {(p, o): v for m in members for p, o, v in list(m.read)}


def leat(lane, options, *words, feed=None):
    return lane.run([options.leat, "--bootstrap", lane.broker.bootstrap, *words], feed=feed)


def send(lane, options, topic, first, count):
    for partition in range(PARTITIONS):
        leat(lane, options, "produce", topic, "-p", str(partition),
             feed=b"".join(b"%d-%d\n" % (partition, i) for i in range(first, first + count)))


def want_all(read, end):
    want = {(p, i): "%d-%d" % (p, i) for p in range(PARTITIONS) for i in range(end)}
    if read != want:
        raise Failed("%d records are due, %d were read, %d of them right" % (
            len(want), len(read), sum(want.get(k) == v for k, v in read.items())))


def group(lane, options, topic):
    """Two members share; a static one comes back and nothing moves; Java joins and leaves; the last one has all."""
    leat(lane, options, "topics", "create", topic, "-p", str(PARTITIONS))
    send(lane, options, topic, 0, 50)
    fixed, other = Member(lane, options, topic, topic, "static-1"), Member(lane, options, topic, topic)
    until(lambda: share(fixed, other) == [2, 2], "split in halves")
    send(lane, options, topic, 50, 50)
    until(lambda: len(distinct(fixed, other)) == 100 * PARTITIONS, "end of reading")
    want_all(distinct(fixed, other), 100)
    before, changes = fixed.owned(), other.changes()
    fixed.end()
    again = Member(lane, options, topic, topic, "static-1")
    until(lambda: len(again.owned()) == 2, "return of the static member")
    time.sleep(1)
    if again.owned() != before or other.changes() != changes or again.read:
        raise Failed("static member: %r, then %r; rebalances of the other: %d, then %d; read again: %d" % (
            before, again.owned(), changes, other.changes(), len(again.read)))
    other.end()
    until(lambda: share(again) == [PARTITIONS], "inheritance of the one that left")

    settings = os.path.join(lane.work, "java-member.properties")
    with open(settings, "w", encoding="utf-8") as file:
        file.write("auto.offset.reset=earliest\n")
        file.write("group.protocol=consumer\n" if options.protocol else "heartbeat.interval.ms=500\n")
    java = lane.spawn(["sh", KAFKA_SH, "run", TOOLS + "consumer.ConsoleConsumer", "--bootstrap-server", lane.broker.bootstrap,
                       "--topic", topic, "--group", topic, "--command-config", settings, "--max-messages", "20",
                       "--timeout-ms", "60000"])
    until(lambda: len(again.owned()) == 2, "half for Java's consumer")
    send(lane, options, topic, 100, 10)
    by_java = lane.finish(java).decode().split()
    until(lambda: share(again) == [PARTITIONS], "return of Java's half")
    until(lambda: len(distinct(again)) >= 10 * PARTITIONS - len(by_java), "end of reading beside Java")
    ours = {value for value in distinct(again).values()}
    want = {"%d-%d" % (p, i) for p in range(PARTITIONS) for i in range(100, 110)}
    if ours | set(by_java) != want or len(by_java) != 20:
        raise Failed("with Java: it read %d, we %d, %d are due" % (len(by_java), len(ours), len(want)))
    again.end()


ASSIGNORS = {"roundrobin": "RoundRobinAssignor", "sticky": "StickyAssignor", "cooperative-sticky": "CooperativeStickyAssignor"}


class Pair:
    """A group of one of ours and one of Java's, in one of the ways to share."""

    def __init__(self, lane, options, topic, name):
        self.lane, self.options, self.name, self.topic = lane, options, name, "%s-%s" % (topic, name)
        self.by_java, self.ours = [], None
        leat(lane, options, "topics", "create", self.topic, "-p", str(PARTITIONS))

    def java_comes(self):
        self.by_java.append(lane_java_groups.Member(self.lane, "classic", self.topic, self.topic, strategy=ASSIGNORS[self.name]))

    def we_come(self):
        self.ours = Member(self.lane, self.options, self.topic, self.topic, more=["--assignor", self.name])

    def java_has(self, count):
        return len(self.by_java[-1].owned or ()) == count

    def java_committed(self, offset):
        java = self.by_java[-1]
        return all(java.committed.get(p) == offset for p in java.owned)

    def halves(self):
        return self.java_has(2) and self.ours.owned() == set(range(PARTITIONS)) - self.by_java[-1].owned

    def read(self):
        return [(p, o) for p, o, _ in self.ours.read] + [(p, o) for m in self.by_java for p, ranges in m.ranges.items()
                                                         for first, last in ranges for o in range(first, last + 1)]


def assignors(lane, options, topic):
    """In each of the ways to share, all at once, each maker leads for a while: each partition has one owner, and all is read once."""
    pairs = [Pair(lane, options, topic, name) for name in ASSIGNORS]

    def all_of(action, *words):
        for pair in pairs:
            action(pair, *words)

    def soon(condition, *words):
        for pair in pairs:
            until(lambda: condition(pair, *words), "%s: %s %s" % (pair.name, condition.__name__, words))

    all_of(Pair.java_comes)
    all_of(lambda pair: send(lane, options, pair.topic, 0, 10))
    soon(Pair.java_has, PARTITIONS)
    soon(Pair.java_committed, 10)
    all_of(Pair.we_come)
    soon(Pair.halves)
    all_of(lambda pair: send(lane, options, pair.topic, 10, 10))
    soon(lambda pair: len(pair.ours.read) == 20)
    soon(Pair.java_committed, 20)
    all_of(lambda pair: pair.by_java[-1].end())
    soon(lambda pair: len(pair.ours.owned()) == PARTITIONS)
    all_of(Pair.java_comes)
    soon(Pair.halves)
    all_of(lambda pair: send(lane, options, pair.topic, 20, 10))
    soon(Pair.java_committed, 30)
    soon(lambda pair: len(pair.ours.read) == 40)
    for pair in pairs:
        pair.by_java[-1].end()
        pair.ours.end()
        if sorted(pair.read()) != [(p, o) for p in range(PARTITIONS) for o in range(30)]:
            raise Failed("%s: %d records are due, %d were read, %d of them once" % (
                pair.name, 30 * PARTITIONS, len(pair.read()), len(set(pair.read()))))


def resume(lane, options, topic):
    """SIGKILL of the server: living members go on, and a new one reads only what came after the last commit."""
    leat(lane, options, "topics", "create", topic, "-p", str(PARTITIONS))
    first, second = Member(lane, options, topic, topic), Member(lane, options, topic, topic)
    until(lambda: share(first, second) == [2, 2], "split in halves")
    send(lane, options, topic, 0, 40)
    until(lambda: len(distinct(first, second)) == 40 * PARTITIONS, "first reading")
    lane.kill_and_restart()
    send(lane, options, topic, 40, 40)
    until(lambda: len(distinct(first, second)) == 80 * PARTITIONS, "reading after the kill")
    want_all(distinct(first, second), 80)
    until(lambda: share(first, second) == [2, 2], "split after the kill")
    first.end()
    until(lambda: share(second) == [PARTITIONS], "inheritance after the kill")
    second.end()
    send(lane, options, topic, 80, 5)
    new = Member(lane, options, topic, topic)
    until(lambda: len(distinct(new)) >= 5 * PARTITIONS, "reading of a new member")
    new.end()
    if sorted(new.read) != sorted((p, i, "%d-%d" % (p, i)) for p in range(PARTITIONS) for i in range(80, 85)):
        raise Failed("a new member did not go on where the commit stood: it read %d, from %r on" % (
            len(new.read), min(new.read)))


def admin(lane, options, topic):
    """The groups, settings and partitions of the steps before. `topic` is that of `resume`."""
    def told(*words):
        return json.loads(leat(lane, options, "--json", *words))

    def want(have, due, what):
        if have != due:
            raise Failed("%s: %r where %r is due" % (what, have, due))

    def lags():
        return [(p["committed"], p["end"], p["lag"]) for p in told("groups", "describe", topic)[0]["partitions"]]

    want({g["group"]: g["state"] for g in told("groups", "list")}.get(topic), "Empty", "groups list")
    want(lags(), [(85, 85, 0)] * PARTITIONS, "groups describe")
    told("groups", "reset-offsets", topic, "--to-earliest")
    want(lags(), [(85, 85, 0)] * PARTITIONS, "a reset without --execute")
    told("groups", "reset-offsets", topic, "--shift-by", "-15", "--execute")
    want(lags(), [(70, 85, 15)] * PARTITIONS, "--shift-by")
    told("groups", "reset-offsets", topic, "--to-time", "-1d", "--execute")
    want(lags(), [(0, 85, 85)] * PARTITIONS, "--to-time")
    told("groups", "reset-offsets", topic, "--to-offset", "1000", "--execute")
    want(lags(), [(85, 85, 0)] * PARTITIONS, "--to-offset behind the end")
    told("groups", "delete", topic)
    want(topic in {g["group"] for g in told("groups", "list")}, False, "a deleted group in the list")
    leat(lane, options, "topics", "alter", topic, "-p", "6", "-c", "retention.ms=7200000")
    want(len(told("topics", "describe", topic)[0]["partitions"]), 6, "partitions")
    want(told("configs", "get", topic, "retention.ms")[0]["value"], "7200000", "retention.ms")
    leat(lane, options, "configs", "set", topic, "retention.ms=3600000")
    want(told("configs", "get", topic, "retention.ms")[0]["value"], "3600000", "retention.ms")
    leat(lane, options, "configs", "unset", topic, "retention.ms")
    want(told("configs", "get", topic, "retention.ms")[0]["source"] != 1, True, "retention.ms unset")

    told("topics", "delete-records", topic, "--before", "80", "-p", "1")
    begins = [p["earliest"] for p in told("topics", "describe", topic)[0]["partitions"]]
    want(begins[:PARTITIONS], [0, 80, 0, 0], "delete-records --before")
    want([s["log_start"] for s in told("topics", "delete-records", topic, "--all", "-p", "0", "-p", "1")], [85, 85],
         "delete-records --all")
    held = {p["partition"] for d in told("topics", "log-dirs") for p in d["partitions"] if p["topic"] == topic}
    want(held, set(range(6)), "log-dirs")
    leat(lane, options, "configs", "set", "--client", topic, "producer_byte_rate=65536", "consumer_byte_rate=1048576")
    leat(lane, options, "configs", "set", "--user-default", "--client", topic, "request_percentage=200")
    want(told("configs", "get", "--client", topic),
         [{"entity": {"client-id": topic}, "quotas": {"consumer_byte_rate": 1048576.0, "producer_byte_rate": 65536.0}}],
         "quotas of a client")
    want(told("configs", "get", "--user-default", "--client", topic),
         [{"entity": {"client-id": topic, "user": None}, "quotas": {"request_percentage": 200.0}}], "quotas of a pair")
    leat(lane, options, "configs", "unset", "--client", topic, "producer_byte_rate", "consumer_byte_rate")
    leat(lane, options, "configs", "unset", "--user-default", "--client", topic, "request_percentage")
    want([q for q in told("configs", "quotas") if q["entity"].get("client-id") == topic], [], "removed quotas")


def admin_848(lane, options, topic):
    """What is told of a group of the consumer protocol with members in it and without, and a pattern that the server matches.
    `topic` is that of `resume`."""
    def described():
        return json.loads(leat(lane, options, "--json", "groups", "describe", topic))[0]

    def committed():
        return [p["committed"] for p in described()["partitions"]]

    one = Member(lane, options, topic, topic, more=["--remote-assignor", "range"])
    two = Member(lane, options, topic, "^%s$|no-such-topic" % topic, more=["--matching"])
    until(lambda: share(one, two) == [2, 2], "split in halves")
    until(lambda: described()["state"] == "Stable", "stable group")
    told = described()
    members = [(len(m["partitions"]), sorted(map(str, m["partitions"])) == sorted(map(str, m["target"])),
                m["epoch"] == told["epoch"]) for m in told["members"]]
    if told["type"] != "Consumer" or told["assignor"] not in ("range", "uniform") or members != [(2, True, True)] * 2:
        raise Failed("described: %r" % told)
    one.end()
    until(lambda: share(two) == [PARTITIONS], "inheritance of the one with a pattern")
    two.end()
    listed = {g["group"]: (g["state"], g["type"].lower()) for g in json.loads(leat(lane, options, "--json", "groups", "list"))}
    if listed.get(topic) != ("Empty", "consumer"):
        raise Failed("listed: %r" % listed)
    leat(lane, options, "groups", "reset-offsets", topic, "--to-offset", "7", "--execute")
    if committed() != [7] * PARTITIONS:
        raise Failed("committed after a reset: %r" % committed())
    leat(lane, options, "groups", "delete", topic)
    bad = lane.spawn([options.leat, "--bootstrap", lane.broker.bootstrap, "consume", "(", "--group", topic, "--matching",
                      *options.protocol])
    bad.communicate(timeout=SECONDS_MAX)
    if bad.returncode == 0 or b"INVALID_REGULAR_EXPRESSION" not in lane.client_errors().encode():
        raise Failed("a pattern that cannot be read: exit code %d, %s" % (bad.returncode, lane.client_errors()))


def run(lane, options, client):
    options.protocol = ()
    with lane.step(client, "group"):
        group(lane, options, client + "-group")
        if lane.broker.name == "kafka":  # the ways to share are the clients' own, whatever the server is
            assignors(lane, options, client + "-group")
    with lane.step(client, "resume"):
        resume(lane, options, client + "-resume")
    with lane.step(client, "admin"):
        admin(lane, options, client + "-resume")


def run_848(lane, options, client):
    options.protocol = ("--protocol", "consumer")
    with lane.step(client, "group"):
        group(lane, options, client + "-group")
    with lane.step(client, "resume"):
        resume(lane, options, client + "-resume")
    with lane.step(client, "admin"):
        admin_848(lane, options, client + "-resume")
