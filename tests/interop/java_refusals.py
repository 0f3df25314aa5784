"""What Kafka's tools 4.3.1 see when they ask leatd for something that it has not: an error at once that says so."""
import os

from lane_java import TOOLS

CONFIGS = "kafka.admin.ConfigCommand"


def refusals(lane, tools, node):
    empty, topic = os.path.join(lane.work, "empty.properties"), ["--topic", "a-four", "--partition", "0"]
    open(empty, "w", encoding="utf-8").close()

    def refused(client, why, *commands):
        with lane.step(client, "admin"):
            for command in commands:
                tools.refuses(*command, why=why)

    with lane.step("kafka-delegation-tokens", "admin"):
        for verb, *words in (["describe"], ["create", "--max-life-time-period", "-1"],
                             ["renew", "--renew-time-period", "-1", "--hmac", "aGk="],
                             ["expire", "--expiry-time-period", "-1", "--hmac", "aGk="]):
            tools.refuses("DelegationTokenCommand", "--" + verb, *words, "--command-config", empty,
                          why="does not support %s_DELEGATION_TOKEN" % verb.upper())
    with lane.step("kafka-features", "admin"):
        tools.tells("FeatureCommand", "describe", wants=["Feature: group.version", "FinalizedVersionLevel: 1"])
        tools.tells("FeatureCommand", "version-mapping", wants=["metadata.version="])
        for words in (["upgrade", "--feature", "group.version=1"], ["upgrade", "--release-version", "4.3"],
                      ["downgrade", "--feature", "group.version=0"], ["disable", "--feature", "group.version"]):
            tools.refuses("FeatureCommand", *words, why="the features of this broker are those of its version")
    with lane.step("kafka-client-metrics", "admin"):
        tools.tells("ClientMetricsCommand", "--list")
        tools.tells("ClientMetricsCommand", "--describe")
        for words in (["--alter", "--interval", "1000", "--metrics", "x"], ["--delete"]):
            tools.refuses("ClientMetricsCommand", words[0], "--name", "m", *words[1:], why="Unsupported resource type")
    with lane.step("kafka-transactions", "admin"):
        tools.tells("TransactionsCommand", "describe-producers", *topic, wants=["ProducerId"])
        tools.tells("TransactionsCommand", "find-hanging", "--broker-id", node, wants=["ProducerId"])
        tools.refuses("TransactionsCommand", "list", why="does not support LIST_TRANSACTIONS")
        tools.refuses("TransactionsCommand", "describe", "--transactional-id", "x", why="FindCoordinator request")
        tools.refuses("TransactionsCommand", "forceTerminateTransaction", "--transactionalId", "x", why="FindCoordinator request")
        tools.refuses("TransactionsCommand", "abort", *topic, "--start-offset", "5", why="Could not find any open transactions")
        code, said = tools.run(TOOLS + "ProducerPerformance", "--topic", "a-four", "--num-records", "10", "--record-size", "10",
                               "--throughput", "-1", "--transactional-id", "x", "--command-property",
                               "bootstrap.servers=" + lane.broker.bootstrap)
        if code != 1 or "This broker has no transactions." not in said:
            raise AssertionError("exit code %d of a transactional producer: %s" % (code, said))
    for client, command, kind in (("kafka-share-groups", "consumer.group.ShareGroupCommand", "SHARE"),
                                  ("kafka-streams-groups", "streams.StreamsGroupCommand", "STREAMS")):
        with lane.step(client, "admin"):
            tools.tells(command, "--list")
            tools.tells(command, "--list", "--state", wants=["STATE"])
            tools.tells(command, "--describe", "--all-groups")
            streams = int(kind == "STREAMS")  # the other tool ends with 0 whatever happens
            for words in ([], ["--members"], ["--state"]):
                tools.tells(command, "--describe", "--group", "s", *words, code=streams,
                            wants=["does not support %s_GROUP_DESCRIBE" % kind])
            tools.tells(command, "--delete", "--group", "s", wants=["not a %s group" % kind.lower()])
            tools.refuses(command, "--reset-offsets", "--group", "s", "--input-topic" if streams else "--topic", "a-four",
                          "--to-earliest", "--execute", why="does not support %s_GROUP_DESCRIBE" % kind)
    # It polls to the end of its time before it tells what has come meanwhile.
    with lane.step("kafka-console-share-consumer", "admin"):
        tools.tells("consumer.ConsoleShareConsumer", "--topic", "a-four", "--group", "s", "--max-messages", "1", "--timeout-ms", "3000",
                    wants=["does not support the share group protocol"])
    refused("kafka-share-consumer-perf-test", "does not support the share group protocol",
            ["ShareConsumerPerformance", "--topic", "a-four", "--group", "s", "--num-records", "5", "--timeout", "10000"])
    with lane.step("kafka-configs", "admin"):
        tools.tells(CONFIGS, "--entity-type", "client-metrics", "--describe")
        for entity, name, given, why in (
                ("brokers", node, "log.retention.ms=1000", "they come from the broker's configuration file"),
                ("broker-loggers", node, "root=DEBUG", "Unsupported resource type"),
                ("client-metrics", "m", "interval.ms=1000", "Unsupported resource type"),
                ("users", "u", "SCRAM-SHA-256=[password=x]", "does not support ALTER_USER_SCRAM_CREDENTIALS")):
            tools.refuses(CONFIGS, "--entity-type", entity, "--entity-name", name, "--alter", "--add-config", given, why=why)
        tools.refuses(CONFIGS, "--entity-type", "broker-loggers", "--entity-name", node, "--describe", why="Unsupported resource type")
    with lane.step("kafka-cluster", "admin"):
        tools.tells("ClusterTool", "unregister", "--id", "7", wants=["does not support the broker unregistration API"])
    with lane.step("kafka-metadata-quorum", "admin"):
        tools.refuses("MetadataQuorumCommand", "remove-controller", "--controller-id", "7", "--controller-directory-id",
                      "MkU3OEVBNTcwNTJENDM2Qg", why="does not support REMOVE_RAFT_VOTER")
