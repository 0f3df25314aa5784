"""Groups in which classic members and members of the consumer protocol (KIP-848) live together, by confluent-kafka.

    mixed_client.py BOOTSTRAP

Talks to lane.py's `converse`. Two groups take the same way at once: one whose classic members use range, one with
cooperative-sticky. While a producer goes on, members of both kinds come and go: up, down, up again, with a SIGKILL of the
broker in each kind of group. No partition may ever be given to one while another still has it, and all is read.
"""
import collections
import contextlib
import sys
import threading
import time
import traceback

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from group_steps import until

PARTITIONS = 8
bootstrap = sys.argv[1]
admin = AdminClient({"bootstrap.servers": bootstrap, "reconnect.backoff.max.ms": 500})


class Member(threading.Thread):
    def __init__(self, team, kind):
        super().__init__(daemon=True)
        self.team, self.kind, self.ends = team, kind, False
        settings = {"bootstrap.servers": bootstrap, "group.id": team.name, "auto.offset.reset": "earliest",
                    "enable.auto.commit": False, "group.protocol": kind, "reconnect.backoff.max.ms": 500,
                    "fetch.wait.max.ms": 100}
        if kind == "classic":
            settings.update({"session.timeout.ms": 30000, "heartbeat.interval.ms": 300,
                             "partition.assignment.strategy": team.strategy})
        self.client = Consumer(settings)
        self.client.subscribe([team.name], on_assign=self.gets, on_revoke=self.gives, on_lost=self.loses)
        self.start()

    def gets(self, _, partitions):
        self.team.gives(self, {p.partition for p in partitions})

    def gives(self, client, partitions):
        with contextlib.suppress(KafkaException):  # nothing read, or too late
            client.commit(asynchronous=False)
        self.loses(client, partitions)

    def loses(self, _, partitions):
        self.team.takes(self, {p.partition for p in partitions})

    def run(self):
        try:
            while not self.ends:
                message = self.client.poll(0.1)
                if message is None:
                    continue
                if message.error():
                    if message.error().fatal():
                        raise AssertionError(str(message.error()))
                    continue
                self.team.seen[message.partition()].add(message.offset())
                if message.offset() % 20 == 0:
                    with contextlib.suppress(KafkaException):  # its generation is over: it commits as it gives up
                        self.client.commit(message, asynchronous=False)
            self.client.close()
        except Exception as error:
            traceback.print_exc()
            self.team.troubles.append("a %s member failed: %s" % (self.kind, error))
        self.team.takes(self, set(range(PARTITIONS)))

    def end(self):
        self.ends = True
        self.join(30)


class Team:
    """One group, its topic of the same name, and who owns what of it."""

    def __init__(self, strategy):
        self.name, self.strategy = "mixed-" + strategy, strategy
        self.lock, self.owners = threading.Lock(), collections.defaultdict(set)
        self.seen, self.troubles = collections.defaultdict(set), []
        self.sent = collections.Counter()  # acknowledged, by partition
        self.members = []

    def gives(self, member, partitions):
        with self.lock:
            for partition in partitions:
                if self.owners[partition] - {member}:
                    self.troubles.append("partition %d has two owners" % partition)
                self.owners[partition].add(member)

    def takes(self, member, partitions):
        with self.lock:
            for partition in partitions:
                self.owners[partition].discard(member)

    def settled(self):
        with self.lock:
            if self.troubles:
                raise AssertionError("%s: %s" % (self.name, self.troubles))
            owners = [self.owners[p] for p in range(PARTITIONS)]
            return all(len(o) == 1 for o in owners) and set().union(*owners) == set(self.members)

    def comes(self, kind):
        self.members.append(Member(self, kind))

    def leaves(self, kind):
        for member in [m for m in self.members if m.kind == kind]:
            self.members.remove(member)
            member.end()

    def committed(self):
        asked = ConsumerGroupTopicPartitions(self.name, [TopicPartition(self.name, p) for p in range(PARTITIONS)])
        told = admin.list_consumer_group_offsets([asked])[self.name].result(30)
        return [p.offset for p in told.topic_partitions]


class Sending(threading.Thread):
    """Sends to all partitions of each team until told otherwise."""

    def __init__(self, teams):
        super().__init__(daemon=True)
        self.teams, self.ends, self.left = teams, False, 0
        self.start()

    def run(self):
        client = Producer({"bootstrap.servers": bootstrap, "acks": "all", "linger.ms": 5, "enable.idempotence": True,
                           "reconnect.backoff.max.ms": 500})

        def delivered(error, message):
            if error is None:
                team = next(t for t in self.teams if t.name == message.topic())
                team.sent[message.partition()] = max(team.sent[message.partition()], message.offset() + 1)

        while not self.ends:
            for team in self.teams:
                for partition in range(PARTITIONS):
                    client.produce(team.name, b"x", partition=partition, on_delivery=delivered)
            client.poll(0.05)
        self.left = client.flush(30)


def kill():
    print("kill", flush=True)
    if sys.stdin.readline().strip() != "killed":
        raise AssertionError("the broker was not killed")


def kind_of(team):
    listed = admin.list_consumer_groups().result(30).valid
    return next((g.type.name.lower() for g in listed if g.group_id == team.name), "not there")


def phase(teams, what, kind, *, comes=(), leaves=None, kills=False):
    """Something happens in all teams; soon each partition has one owner, each member some, and the group is of that kind."""
    began = time.monotonic()
    for team in teams:
        if leaves:
            team.leaves(leaves)
        for one in comes:
            team.comes(one)
    if kills:
        kill()
    for team in teams:
        try:
            until(team.settled, "one owner of each partition, some for each member")
        except AssertionError as late:
            raise AssertionError("%s, %s: %s; owners %s" % (
                what, team.name, late, [[o.kind for o in team.owners[p]] for p in range(PARTITIONS)])) from None
        until(lambda: kind_of(team) == kind, "%s: group %s of the kind %s" % (what, team.name, kind))  # Kafka loads it
    print("%s: settled after %.1f s" % (what, time.monotonic() - began), flush=True)


def run():
    teams = [Team("range"), Team("cooperative-sticky")]
    for future in admin.create_topics([NewTopic(t.name, PARTITIONS, 1) for t in teams]).values():
        future.result(30)
    sending = Sending(teams)
    phase(teams, "two classic ones", "classic", comes=["classic", "classic"])
    phase(teams, "one of the other comes, up", "consumer", comes=["consumer"])
    phase(teams, "SIGKILL", "consumer", kills=True)
    phase(teams, "it leaves, down", "classic", leaves="consumer")
    phase(teams, "SIGKILL", "classic", kills=True)
    phase(teams, "up again", "consumer", comes=["consumer"])
    phase(teams, "the classic ones leave", "consumer", leaves="classic")
    phase(teams, "a classic one comes", "consumer", comes=["classic"])
    sending.ends = True
    sending.join()

    def all_read():
        return all(t.seen[p] == set(range(t.sent[p])) for t in teams for p in range(PARTITIONS))

    until(lambda: all_read() or any(t.troubles for t in teams), "reading of all")
    for team in teams:
        for kind in ("consumer", "classic"):
            team.leaves(kind)
        if team.troubles or sending.left:
            raise AssertionError("%s: %s, %d not sent" % (team.name, team.troubles, sending.left))
        if team.committed() != [team.sent[p] for p in range(PARTITIONS)]:
            raise AssertionError("%s: committed %s of %s" % (team.name, team.committed(), team.sent))


try:
    run()
    print("step resume ok", flush=True)
except Exception as trouble:  # there is a result, whatever happens
    traceback.print_exc()
    print("step resume", ("%s: %s" % (type(trouble).__name__, trouble)).replace("\n", " "), flush=True)
