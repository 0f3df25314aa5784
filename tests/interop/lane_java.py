"""Kafka's own Java clients 4.3.1, through the tools that people know."""
import json
import os
import subprocess
import threading
import time
import urllib.request

from lane import CODECS, Failed, lines_of, text_records, want_equal

KAFKA_SH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "kafka", "kafka.sh")
TOOLS = "org.apache.kafka.tools."
WIDE = 150  # partitions


def tool(lane, name, *words, feed=None):
    return lane.run(["sh", KAFKA_SH, "run", TOOLS + name, "--bootstrap-server", lane.broker.bootstrap, *words], feed=feed)


def make_topic(lane, topic, partitions=1):
    tool(lane, "TopicCommand", "--create", "--topic", topic, "--partitions", str(partitions), "--replication-factor", "1")


def console_producer(lane, topic, codec, *settings):
    words = ["sh", KAFKA_SH, "run", TOOLS + "ConsoleProducer", "--bootstrap-server", lane.broker.bootstrap,
             "--topic", topic, "--reader-property", "parse.key=true", "--compression-codec", codec,
             "--message-send-max-retries", "1000"]
    for setting in ("acks=all", "linger.ms=5", "delivery.timeout.ms=120000", "request.timeout.ms=10000",
                    "reconnect.backoff.max.ms=500", *settings):
        words += ["--command-property", setting]
    return words


def console_consumer(lane, topic, count):
    out = tool(lane, "consumer.ConsoleConsumer", "--topic", topic, "--partition", "0", "--offset", "earliest",
               "--max-messages", str(count), "--timeout-ms", "60000", "--formatter-property", "print.key=true")
    return [tuple(line.split(b"\t", 1)) for line in out.split(b"\n")[:-1]]


def kcat_values(lane, topic):
    out = lane.run(["kcat", "-C", "-e", "-q", "-b", lane.broker.bootstrap, "-t", topic, "-p", "0", "-f", "%s\n"])
    return out.split(b"\n")[:-1]


def properties(lane, **settings):
    path = os.path.join(lane.work, "producer.properties")
    with open(path, "w", encoding="utf-8") as file:
        for name, value in settings.items():
            file.write("%s=%s\n" % (name.replace("_", "."), value))
    return path


def verifiable(lane, topic, count, rate, **settings):
    path = properties(lane, retries=1000, delivery_timeout_ms=120000, request_timeout_ms=10000,
                      reconnect_backoff_max_ms=500, **settings)
    return ["sh", KAFKA_SH, "run", TOOLS + "VerifiableProducer", "--bootstrap-server", lane.broker.bootstrap,
            "--topic", topic, "--max-messages", str(count), "--throughput", str(rate), "--command-config", path]


def acked_of(out, count):
    events = [json.loads(line) for line in out.splitlines() if line.startswith(b"{")]
    failed = [e for e in events if e["name"] == "producer_send_error"]
    acked = [e["value"].encode() for e in events if e["name"] == "producer_send_success"]
    if failed or len(acked) != count:
        raise Failed("%d of %d acknowledged, %d errors, first: %s" % (len(acked), count, len(failed), failed[:1]))
    return acked


def perf(lane, topic, count, rate, *settings):
    return ["sh", KAFKA_SH, "run", TOOLS + "ProducerPerformance", "--topic", topic, "--num-records", str(count),
            "--payload-monotonic", "--throughput", str(rate), "--command-property",
            "bootstrap.servers=" + lane.broker.bootstrap, "acks=all", "delivery.timeout.ms=120000",
            "request.timeout.ms=10000", "reconnect.backoff.max.ms=500", *settings]


def check_perf(lane, topic, count, out):
    if b"%d records sent" % count not in out:
        raise Failed("the tool did not send all: " + out.decode()[-300:])
    want_equal([b"%d" % i for i in range(count)], kcat_values(lane, topic))


def killed_while(lane, command, trigger):
    """Runs a tool; kills and restarts the broker once its output holds `trigger` many lines."""
    process = lane.spawn(command)
    process.stdin.close()
    process.stdin = None
    seen, chunks = threading.Event(), []

    def reader():
        for line in process.stdout:
            chunks.append(line)
            if len(chunks) >= trigger:
                seen.set()
        seen.set()

    thread = threading.Thread(target=reader, daemon=True)
    thread.start()
    if not seen.wait(60):
        process.kill()
        raise Failed("the tool sends nothing\n" + lane.client_errors())
    lane.kill_and_restart()
    try:
        code = process.wait(150)
    except subprocess.TimeoutExpired:
        process.kill()
        raise Failed("the tool does not come to its end\n" + lane.client_errors()) from None
    thread.join(10)
    if code:
        raise Failed("exit code %d\n%s" % (code, lane.client_errors()))
    return b"".join(chunks)


def in_session(lane):
    """How many partitions the broker has in fetch sessions; a Kafka is not asked."""
    if lane.broker.name != "leatd":
        return WIDE
    with urllib.request.urlopen("http://127.0.0.1:%d/status" % (lane.broker.port + 1), timeout=20) as answer:
        return json.load(answer)["fetch_sessions"]["partitions"]


def wide(lane):
    """One consumer with so many partitions that it lives on fetch sessions (KIP-227), which a SIGKILL ends."""
    make_topic(lane, "j-wide", WIDE)
    words = ["--topic", "j-wide", "--from-beginning", "--max-messages", "1200", "--timeout-ms", "90000",
             "--formatter-property", "print.key=true"]
    path = os.path.join(lane.work, "wide.out")  # a pipe that nobody reads meanwhile would stop it
    with open(path, "wb") as out:
        consumer = lane.spawn(["sh", KAFKA_SH, "run", TOOLS + "consumer.ConsoleConsumer", "--bootstrap-server",
                               lane.broker.bootstrap, *words], stdout=out)
    wrote = []
    for seed in (60, 61):
        end = time.monotonic() + 90
        while in_session(lane) < WIDE:
            if time.monotonic() > end or consumer.poll() is not None:
                raise Failed("no fetch session of %d partitions\n%s" % (WIDE, lane.client_errors()))
            time.sleep(0.2)
        records = [(b"%d.%d" % (seed, i), value) for i, (_, value) in enumerate(text_records(seed, 600))]
        lane.run(console_producer(lane, "j-wide", "none", "enable.idempotence=true"), feed=lines_of(records))
        wrote += records
        if seed == 60:
            lane.kill_and_restart()
    lane.finish(consumer)
    with open(path, "rb") as out:
        have = [tuple(line.split(b"\t", 1)) for line in out.read().split(b"\n")[:-1]]
    want_equal(sorted(wrote), sorted(have))


def run(lane, options):
    with lane.step("kafka-topics", "topic"):
        make_topic(lane, "j-none")
        listed = tool(lane, "TopicCommand", "--list").split()
        told = tool(lane, "TopicCommand", "--describe", "--topic", "j-none")
        if b"j-none" not in listed or b"PartitionCount: 1" not in told:
            raise Failed("list: %r\ndescribe: %r" % (listed, told))
        make_topic(lane, "j-gone")
        tool(lane, "TopicCommand", "--delete", "--topic", "j-gone")
        time.sleep(0.5)
        if b"j-gone" in tool(lane, "TopicCommand", "--list").split():
            raise Failed("a deleted topic is still listed")

    wrote = {}
    for seed, codec in enumerate(CODECS):  # the topics but the first make themselves
        with lane.step("kafka-console-producer", codec):
            records = text_records(seed, 300)
            lane.run(console_producer(lane, "j-" + codec, codec, "enable.idempotence=false"), feed=lines_of(records))
            wrote["j-" + codec] = records
    with lane.step("kafka-console-producer", "idempotent"):
        wrote["j-idempotent"] = text_records(9, 1000)
        lane.run(console_producer(lane, "j-idempotent", "lz4", "enable.idempotence=true"), feed=lines_of(wrote["j-idempotent"]))
    with lane.step("kafka-console-consumer", "read-back"):
        for topic, records in wrote.items():
            want_equal(records, console_consumer(lane, topic, len(records)))

    with lane.step("kafka-console-consumer", "go-on"):
        wide(lane)

    for seed, codec in enumerate(CODECS):
        with lane.step("kafka-verifiable-producer", codec):
            acked = acked_of(lane.run(verifiable(lane, "v-" + codec, 200, -1, compression_type=codec,
                                                 enable_idempotence="false")), 200)
            want_equal(acked, kcat_values(lane, "v-" + codec))
        with lane.step("kafka-producer-perf-test", codec):
            check_perf(lane, "p-" + codec, 1000, lane.run(perf(lane, "p-" + codec, 1000, -1, "compression.type=" + codec,
                                                               "enable.idempotence=false")))
    with lane.step("kafka-verifiable-producer", "idempotent"):
        acked = acked_of(lane.run(verifiable(lane, "v-idem", 500, -1, enable_idempotence="true")), 500)
        want_equal(acked, kcat_values(lane, "v-idem"))
    with lane.step("kafka-producer-perf-test", "idempotent"):
        check_perf(lane, "p-idem", 20000, lane.run(perf(lane, "p-idem", 20000, -1, "enable.idempotence=true")))

    with lane.step("kafka-console-producer", "sigkill"):
        records = text_records(30, 2000)
        process = lane.spawn(console_producer(lane, "j-killed", "none", "enable.idempotence=true"))
        for first in range(0, len(records), 200):
            process.stdin.write(lines_of(records[first:first + 200]))
            process.stdin.flush()
            time.sleep(0.2)
            if first == 1000:
                lane.kill_and_restart()
        lane.finish(process)
        wrote["j-killed"] = records
        want_equal(records, console_consumer(lane, "j-killed", len(records)))
    with lane.step("kafka-verifiable-producer", "sigkill"):
        out = killed_while(lane, verifiable(lane, "v-killed", 4000, 1000, enable_idempotence="true"), 1500)
        want_equal(sorted(acked_of(out, 4000)), sorted(kcat_values(lane, "v-killed")))
    with lane.step("kafka-producer-perf-test", "sigkill"):
        command = perf(lane, "p-killed", 6000, 1500, "enable.idempotence=true")
        command[command.index("--throughput"):command.index("--throughput")] = ["--reporting-interval", "1000"]
        check_perf(lane, "p-killed", 6000, killed_while(lane, command, 1))

    with lane.step("kafka-topics", "go-on"):
        make_topic(lane, "j-after")
    with lane.step("kafka-console-producer", "go-on"):
        more = text_records(50, 100)
        lane.run(console_producer(lane, "j-zstd", "zstd"), feed=lines_of(more))
        wrote["j-zstd"] += more
    with lane.step("kafka-console-consumer", "go-on"):
        for topic, records in wrote.items():
            want_equal(records, console_consumer(lane, topic, len(records)))
    with lane.step("kafka-verifiable-producer", "go-on"):
        acked_of(lane.run(verifiable(lane, "v-idem", 100, -1)), 100)
        if len(kcat_values(lane, "v-idem")) != 600:
            raise Failed("%d records where 600 are due" % len(kcat_values(lane, "v-idem")))
    with lane.step("kafka-producer-perf-test", "go-on"):
        lane.run(perf(lane, "p-idem", 1000, -1))
        if len(kcat_values(lane, "p-idem")) != 21000:
            raise Failed("%d records where 21000 are due" % len(kcat_values(lane, "p-idem")))
