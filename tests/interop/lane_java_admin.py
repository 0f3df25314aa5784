"""Kafka's own tools 4.3.1 that list, describe, change and delete, as far as they make sense on one node, and what those see
that ask for something that leatd has not (`java_refusals.py`). What is asked here Kafka answers alike (`--target kafka`)."""
import json
import os
import re
import time

from group_steps import until
from java_process import Tools
from java_refusals import refusals
from lane import Failed
from lane_java import KAFKA_SH, TOOLS
from lane_java_groups import MEMBER_SECONDS_MAX, Member, owns, send

GROUPS, CONFIGS = "consumer.group.ConsumerGroupCommand", "kafka.admin.ConfigCommand"


def expect(have, want, what):
    if have != want:
        raise Failed("%s: %r where %r is due" % (what, have, want))


def file_of(lane, name, content):
    path = os.path.join(lane.work, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(content if isinstance(content, str) else json.dumps(content))
    return path


def topics(tools):
    def topic(*words, **expected):
        return tools.tells("TopicCommand", *words, **expected)

    topic("--create", "--topic", "a-four", "--partitions", "4", "--config", "retention.ms=86400000", wants=["Created topic a-four"])
    topic("--create", "--topic", "a-one", wants=["Created topic a-one"])
    topic("--create", "--if-not-exists", "--topic", "a-four")
    topic("--create", "--topic", "a-four", wants=["already exists", "TopicExistsException"], code=1)
    topic("--create", "--topic", "bad/name", wants=["InvalidTopicException"], code=1)
    topic("--create", "--topic", "a-bad", "--config", "no.such=1", wants=["Unknown topic config name: no.such"], code=1)
    expect(topic("--list").split(), ["a-four", "a-one"], "topics")
    described = topic("--describe", "--topic", "a-four", wants=["PartitionCount: 4\tReplicationFactor: 1", "retention.ms=86400000"])
    topic("--describe", "--topic-id", re.search(r"TopicId: (\S+)", described)[1], wants=["Topic: a-four"])
    topic("--describe", "--topics-with-overrides", wants=["Topic: a-four"])
    topic("--describe", "--at-min-isr-partitions", wants=["Topic: a-four\tPartition: 3"])
    for trouble in ("--under-replicated-partitions", "--unavailable-partitions", "--under-min-isr-partitions"):
        expect(topic("--describe", trouble), "", trouble)
    topic("--describe", "--topic", "nobody", wants=["Topic 'nobody' does not exist as expected"], code=1)
    topic("--alter", "--topic", "a-one", "--partitions", "3")
    topic("--describe", "--topic", "a-one", wants=["PartitionCount: 3"])
    topic("--alter", "--topic", "a-one", "--partitions", "2", wants=["InvalidPartitionsException", "not be an increase"], code=1)
    topic("--delete", "--topic", "nobody", wants=["does not exist"], code=1)
    topic("--delete", "--if-exists", "--topic", "nobody")
    topic("--create", "--topic", "a-gone-1")
    topic("--create", "--topic", "a-gone-2")
    topic("--delete", "--topic", "a-gone-.*")
    until(lambda: "a-gone" not in topic("--list"), "list without what was deleted")


def configs(tools, node):
    def config(kind, *words, **expected):
        return tools.tells(CONFIGS, "--entity-type", kind, *words, **expected)

    def changes(kind, name, given, *, keeps=False):
        """Sets it, finds it described, and removes it again."""
        entity = ["--entity-name", name[0]] if name else ["--entity-default"]
        if len(kind) > 1:
            entity += ["--entity-type", kind[1], "--entity-name", name[1]]
        config(kind[0], *entity, "--alter", "--add-config", given, wants=["Completed updating"])
        for part in given.split(","):
            config(kind[0], *entity, "--describe", wants=[part])
        if not keeps:
            config(kind[0], *entity, "--alter", "--delete-config", ",".join(part.split("=")[0] for part in given.split(",")))
            left = config(kind[0], *entity, "--describe")
            expect([part for part in given.split(",") if part in left], [], "settings that were removed")

    changes(["topics"], ["a-one"], "segment.ms=3600000,min.insync.replicas=1")
    changes(["topics"], ["a-one"], "retention.ms=7200000", keeps=True)
    config("topics", "--entity-name", "a-one", "--describe", "--all", wants=["cleanup.policy=delete", "DEFAULT_CONFIG"])
    config("topics", "--describe", wants=["Dynamic configs for topic a-four are:\n  "])
    config("topics", "--entity-name", "nobody", "--describe", wants=["The topic 'nobody' doesn't exist"])
    for bad in ("no.such=1", "retention.ms=soon"):
        config("topics", "--entity-name", "a-one", "--alter", "--add-config", bad, wants=["InvalidConfigurationException"], code=1)
    config("brokers", "--entity-name", node, "--describe", "--all", wants=["node.id=" + node, "listeners=PLAINTEXT://", "num.partitions=", "log.dirs=",
           "socket.request.max.bytes=8388608", "group.consumer.session.timeout.ms=", "offsets.retention.minutes=10080"])
    config("brokers", "--entity-name", node, "--describe", wants=["Dynamic configs for broker %s are:" % node])
    config("brokers", "--entity-default", "--describe", wants=["Default configs for brokers in the cluster are:"])
    changes(["brokers"], [node], "background.threads=9,log.cleaner.threads=2")
    changes(["brokers"], None, "log.cleaner.threads=2")
    config("brokers", "--entity-name", node, "--alter", "--add-config", "node.id=9", wants=["Cannot update these configs dynamically: [node.id]"], code=1)
    config("brokers", "--entity-name", "7", "--describe", wants=["The broker '7' doesn't exist"])
    changes(["users"], ["u"], "producer_byte_rate=1000.0")
    changes(["users"], None, "request_percentage=50.0")
    changes(["users", "clients"], ["u", "c"], "consumer_byte_rate=2000.0", keeps=True)
    changes(["clients"], None, "consumer_byte_rate=9000.0,request_percentage=40.0")
    changes(["ips"], ["127.0.0.9"], "connection_creation_rate=100.0")
    changes(["groups"], ["a-group"], "consumer.heartbeat.interval.ms=6000", keeps=True)
    config("groups", "--entity-name", "a-group", "--alter", "--add-config", "no.such=1", wants=["InvalidConfigurationException"], code=1)
    config("users", "--entity-name", "nobody", "--describe")


def quotas(lane, tools):
    """A quota set by Kafka's tool is described by it, and Kafka's own producer runs at about it."""
    rate, count, size = 200_000, 2000, 1000
    client = ["--entity-type", "clients", "--entity-name", "a-quota"]
    tools.tells(CONFIGS, *client, "--alter", "--add-config", "producer_byte_rate=%d,request_percentage=90" % rate)
    tools.tells(CONFIGS, *client, "--describe", wants=["producer_byte_rate=%d" % rate, "request_percentage=90"])
    began = time.monotonic()
    lane.run(["sh", KAFKA_SH, "run", TOOLS + "ProducerPerformance", "--topic", "a-quota", "--num-records", str(count),
              "--record-size", str(size), "--throughput", "-1", "--command-property",
              "bootstrap.servers=" + lane.broker.bootstrap, "client.id=a-quota", "acks=all"])
    took = time.monotonic() - began
    least = count * size / rate - 2  # a second's worth goes at once, and nobody waits for the last debt
    if lane.broker.name == "leatd" and not least < took < least + 25:  # a Kafka lets ten seconds' worth go first
        raise Failed("%d bytes took %.1f s where %d B/s are set" % (count * size, took, rate))
    tools.tells(CONFIGS, *client, "--alter", "--delete-config", "producer_byte_rate,request_percentage")
    if "producer_byte_rate" in tools.tells(CONFIGS, *client, "--describe"):
        raise Failed("a removed quota is still described")


def kept(tools):
    """After the SIGKILL: what was set before it."""
    tools.tells("TopicCommand", "--describe", "--topic", "a-one", wants=["PartitionCount: 3", "retention.ms=7200000"])
    tools.tells(CONFIGS, "--entity-type", "users", "--entity-name", "u", "--entity-type", "clients", "--describe",
                wants=["user-principal 'u', client-id 'c' are consumer_byte_rate=2000.0"])
    tools.tells(CONFIGS, "--entity-type", "groups", "--entity-name", "a-group", "--describe", wants=["heartbeat.interval.ms=6000"])


def positions(said, group):
    """{partition: offset} of what a table of the tool says of a group."""
    rows = [line.split() for line in said.splitlines() if line.startswith(group + " ")]
    return {int(row[2]): int(row[3]) for row in rows}


def consumer_groups(lane, tools):
    def group(*words, **expected):
        return tools.tells(GROUPS, *words, **expected)

    def reset(*words, want, group_and_topic=("--group", "a-group", "--topic", "a-four")):
        said = group("--reset-offsets", *group_and_topic, *words)
        expect(positions(said, "a-group"), want, " ".join(words))
        if words[-1] == "--execute":
            now = positions(group("--describe", "--group", "a-group"), "a-group")
            expect({p: now[p] for p in want}, want, "described after " + " ".join(words))

    def everywhere(offset):
        return dict.fromkeys(range(4), offset)

    send(lane, "a-four", 10)
    member = Member(lane, "classic", "a-group", "a-four")
    until(lambda: owns(member) and [member.committed.get(p) for p in range(4)] == [10] * 4, "commit of all", MEMBER_SECONDS_MAX)
    group("--list", "--state", "stable", wants=["a-group", "Stable"])
    group("--list", "--type", wants=["a-group", "Classic"])
    group("--describe", "--group", "a-group", "--members", "--verbose", wants=["/127.0.0.1", "a-four:0,1,2,3"])
    group("--describe", "--all-groups", "--state", "--verbose", wants=["a-group", "range", "Stable"])
    group("--delete", "--group", "a-group", wants=["GroupNotEmptyException"])
    group("--delete-offsets", "--group", "a-group", "--topic", "a-four", wants=["GroupSubscribedToTopicException"])
    group("--reset-offsets", "--group", "a-group", "--topic", "a-four", "--to-earliest", "--execute",
          wants=["can only be reset if the group 'a-group' is inactive"])
    member.end()
    until(lambda: "a-group" in group("--list", "--state", "empty"), "empty group")
    group("--describe", "--group", "a-group", "--members", wants=["no active members"])
    group("--describe", "--group", "a-group", "--offsets", "--verbose", wants=["LEADER-EPOCH"])
    rows = [line.split() for line in group("--describe", "--all-groups").splitlines() if line.startswith("a-group ")]
    expect([row[3:6] for row in rows], [["10", "10", "0"]] * 4, "offset, end and lag")
    for what in ("--offsets", "--members", "--state"):
        group("--describe", "--group", "nobody", what, wants=["Group nobody not found"])

    reset("--to-earliest", "--dry-run", want=everywhere(0))
    expect(positions(group("--describe", "--group", "a-group"), "a-group"), everywhere(10), "after a dry run")
    reset("--shift-by", "-3", "--execute", want=everywhere(7))
    reset("--to-earliest", "--execute", want={1: 0}, group_and_topic=("--group", "a-group", "--topic", "a-four:1"))
    reset("--to-latest", "--execute", want=everywhere(10))
    reset("--by-duration", "PT1H", "--execute", want=everywhere(0), group_and_topic=("--group", "a-group", "--all-topics"))
    reset("--to-offset", "99", "--execute", want=everywhere(10))
    reset("--to-datetime", "2000-01-01T00:00:00.000", "--execute", want=everywhere(0))
    reset("--to-datetime", "2100-01-01T00:00:00.000", "--execute", want=everywhere(10))
    exported = group("--reset-offsets", "--group", "a-group", "--all-topics", "--to-current", "--export", "--dry-run")
    expect(sorted(exported.split()), ["a-four,%d,10" % p for p in range(4)], "exported positions")
    plan = file_of(lane, "reset.csv", "a-four,0,4\na-four,2,5\n")
    reset("--from-file", plan, "--execute", want={0: 4, 2: 5}, group_and_topic=("--group", "a-group"))
    reset("--to-earliest", "--dry-run", want=everywhere(0), group_and_topic=("--all-groups", "--all-topics"))
    group("--reset-offsets", "--group", "a-new", "--topic", "a-four", "--to-latest", "--execute", wants=["a-new"])

    group("--delete-offsets", "--group", "a-group", "--topic", "a-four:1", wants=["Successful"])
    expect(sorted(positions(group("--describe", "--group", "a-group"), "a-group")), [0, 2, 3], "partitions with an offset")
    group("--delete-offsets", "--group", "a-group", "--topic", "nobody", wants=["Error"])
    group("--delete", "--group", "nobody", wants=["GroupIdNotFoundException"])
    group("--delete", "--group", "a-group", "--group", "a-new", wants=["successful"])
    expect(group("--list").split(), [], "groups after all were deleted")
    group("--validate-regex", "a.*b")


def offsets(lane, tools):
    def at(time_, *words):
        said = tools.tells("GetOffsetShell", *(["--time", time_] if time_ else []), *(words or ["--topic", "a-four"]))
        return {line.rsplit(":", 1)[0]: int(line.rsplit(":", 1)[1]) for line in said.split()}

    def everywhere(offset):
        return {"a-four:%d" % p: offset for p in range(4)}

    with lane.step("kafka-get-offsets", "admin"):
        for time_, want in ((None, 10), ("latest", 10), ("-1", 10), ("earliest", 0), ("-2", 0), ("earliest-local", 0), ("-4", 0),
                            ("1000", 0)):
            expect(at(time_), everywhere(want), "offsets at %s" % time_)
        for time_ in ("max-timestamp", "-3"):
            expect(set(at(time_)), set(everywhere(0)), "partitions with a " + time_)
        for time_ in ("latest-tiered", "-5", "earliest-pending-upload", "-6", "99999999999999"):
            expect(at(time_), {}, "offsets at %s" % time_)  # nothing is tiered, and nothing from the year 5138
        expect(sorted(at(None, "--topic-partitions", "a-four:0-2,a-one")), ["a-four:0", "a-four:1", "a-one:0", "a-one:1", "a-one:2"],
               "filter")
        if any(name.startswith("__") for name in at(None, "--exclude-internal-topics")):
            raise Failed("internal topics are told")
        tools.tells("GetOffsetShell", "--topic", "nobody", wants=["Could not match any topic-partitions"], code=1)
    with lane.step("kafka-delete-records", "admin"):
        def delete(topic, offset, **expected):
            plan = file_of(lane, "delete.json", {"partitions": [{"topic": topic, "partition": 3, "offset": offset}], "version": 1})
            tools.tells("DeleteRecordsCommand", "--offset-json-file", plan, **expected)
        delete("a-four", 3, wants=["low_watermark: 3"])
        expect(at("earliest")["a-four:3"], 3, "earliest offset after the deletion")
        delete("a-four", 99, wants=["OffsetOutOfRangeException"])
        delete("a-four", -1, wants=["low_watermark: 10"])
    with lane.step("kafka-log-dirs", "admin"):
        told = tools.tells("LogDirsCommand", "--describe", "--topic-list", "a-four", wants=['"a-four-0"', '"error":null'])
        if "a-one" in told:
            raise Failed("a topic that was not asked for: " + told)
        tools.tells("LogDirsCommand", "--describe", wants=['"a-one-0"'])
        tools.tells("LogDirsCommand", "--describe", "--broker-list", "7", wants=["do not exist"], code=1)


def cluster(lane, tools, node):
    with lane.step("kafka-broker-api-versions", "admin"):
        tools.tells("BrokerApiVersionsCommand", wants=["Produce(0)", "OffsetDelete(47)", "usable"])
    with lane.step("kafka-metadata-quorum", "admin"):
        told = tools.tells("MetadataQuorumCommand", "describe", "--status", wants=["LeaderId:               " + node])
        if not re.search(r"CurrentVoters:\s+\[\{\"id\": %s\b" % node, told) or not re.search(r"HighWatermark:\s+\d", told):
            raise Failed(told)
        tools.tells("MetadataQuorumCommand", "describe", "--replication", "--human-readable", wants=["Leader", "ms ago"])
    with lane.step("kafka-cluster", "admin"):
        if not re.search(r"Cluster ID: \S{22}\b", tools.tells("ClusterTool", "cluster-id")):
            raise Failed("no cluster id")
        for words in ([], ["--include-fenced-brokers"]):
            tools.tells("ClusterTool", "list-endpoints", *words, wants=[" %d " % lane.broker.port, "unfenced"])
    with lane.step("kafka-groups", "admin"):
        tools.tells(GROUPS, "--reset-offsets", "--group", "a-listed", "--topic", "a-four", "--to-latest", "--execute")
        for words in ([], ["--consumer"], ["--group-type", "classic"]):
            tools.tells("GroupsCommand", "--list", *words, wants=["a-listed", "Classic"])
        for words in (["--share"], ["--streams"]):
            if "a-listed" in tools.tells("GroupsCommand", "--list", *words):
                raise Failed("listed with " + words[0])
    with lane.step("kafka-reassign-partitions", "admin"):
        tools.tells("reassign.ReassignPartitionsCommand", "--list", wants=["No partition reassignments found"])
        move = file_of(lane, "move.json", {"topics": [{"topic": "a-four"}], "version": 1})
        tools.tells("reassign.ReassignPartitionsCommand", "--generate", "--topics-to-move-json-file", move, "--broker-list", node,
                    wants=["Proposed partition reassignment"])
        plan = file_of(lane, "plan.json", {"version": 1, "partitions": [
            {"topic": "a-four", "partition": 0, "replicas": [int(node)], "log_dirs": ["any"]}]})
        tools.tells("reassign.ReassignPartitionsCommand", "--execute", "--reassignment-json-file", plan,
                    wants=["Successfully started partition reassignment for a-four-0"])
        tools.tells("reassign.ReassignPartitionsCommand", "--verify", "--reassignment-json-file", plan,
                    wants=["Reassignment of partition a-four-0 is completed"])
        tools.tells("reassign.ReassignPartitionsCommand", "--cancel", "--reassignment-json-file", plan,
                    wants=["None of the specified partition reassignments are active"])
        away = file_of(lane, "away.json", {"version": 1, "partitions": [
            {"topic": "a-four", "partition": 0, "replicas": [int(node) + 76]}]})
        tools.refuses("reassign.ReassignPartitionsCommand", "--execute", "--reassignment-json-file", away,
                      why="Unknown broker id")
    with lane.step("kafka-leader-election", "admin"):
        tools.tells("LeaderElectionCommand", "--election-type", "preferred", "--all-topic-partitions")
        tools.tells("LeaderElectionCommand", "--election-type", "unclean", "--topic", "a-four", "--partition", "0",
                    wants=["Valid replica already elected for partitions a-four-0"])
    with lane.step("kafka-acls", "admin"):
        rule = ["--allow-principal", "User:a", "--operation", "Read", "--topic", "a-four"]
        for words in (["--list"], ["--add", *rule], ["--remove", "--force", *rule]):  # no authorizer, as in stock Kafka
            tools.refuses("AclCommand", *words, why="SecurityDisabledException")
    with lane.step("kafka-streams-reset", "admin"):
        told = tools.tells("StreamsResetter", "--application-id", "a-streams", "--input-topics", "a-four")
        if "Topic: a-four Partition: 0 Offset: 0" not in told:
            raise Failed(told)


def run(lane, options):
    node = "1" if lane.broker.name == "kafka" else "0"
    with Tools(lane) as tools:
        with lane.step("kafka-topics", "admin"):
            topics(tools)
        with lane.step("kafka-configs", "admin"):
            configs(tools, node)
            quotas(lane, tools)
            lane.kill_and_restart()
            kept(tools)
        with lane.step("kafka-consumer-groups", "admin"):
            consumer_groups(lane, tools)
        offsets(lane, tools)
        cluster(lane, tools, node)
        if lane.broker.name == "leatd":
            refusals(lane, tools, node)
