"""Records and metadata (keys 0 to 3, 18, 22, 23): the same requests to Kafka and to leatd."""
import base64
import struct
import time

from differential.peer import ZERO_ID, b64, batch

SESSION = ("sessionId", "recordsSizeInBytes", "abortedTransactions")
NOID = "AAAAAAAAAAAAAAAAAAAAAQ"


def produce(s, what, topic, records, partition=0, version=9, acks=-1, without=("logAppendTimeMs", "logStartOffset", "errorMessage"), **more):
    field = "topicId" if version >= 13 else "name"
    body = dict(acks=acks, timeoutMs=5000, topicData=[{field: topic, "partitionData": [{"index": partition, "records": records}]}], **more)
    return s.call(what, 0, version, without=without, **body)


def two(one, other):
    return b64(base64.b64decode(one) + base64.b64decode(other))


def produces(s):
    t = s.topic(partitions=2, configs={"retention.ms": "-1"})
    for version in range(3, 13):
        produce(s, "v%d" % version, t, batch(b"a"), version=version)
        produce(s, "unknown topic v%d" % version, "nothere?", batch(b"a"), version=version)
        produce(s, "unknown partition v%d" % version, t, batch(b"a"), partition=9, version=version)
    produce(s, "v13", s.id_of(t), batch(b"a"), version=13)
    produce(s, "v13, unknown id", NOID, batch(b"a"), version=13)
    produce(s, "v13, no id", ZERO_ID, batch(b"a"), version=13)
    produce(s, "negative partition", t, batch(b"a"), partition=-1)
    produce(s, "acks 2", t, batch(b"a"), acks=2)
    produce(s, "acks -2", t, batch(b"a"), acks=-2)
    produce(s, "bad CRC", t, batch(b"a", crc=1))
    produce(s, "no records", t, batch(times=[0], count=0))
    produce(s, "empty records", t, "")
    produce(s, "two batches", t, two(batch(b"a"), batch(b"b")))
    produce(s, "count too large", t, batch(b"a", count=2))
    produce(s, "count too small", t, batch(b"a", b"b", count=1))
    produce(s, "base offset 7", t, batch(b"a", base=7))
    produce(s, "a control batch", t, batch(b"a", attributes=0x20))
    produce(s, "magic 1", t, batch(b"a", magic=1))
    produce(s, "null value", t, batch(None))
    produce(s, "null key and value", t, batch(None, key=None))
    produce(s, "time -1", t, batch(b"a", times=[-1]))
    produce(s, "far future", t, batch(b"a", times=[int(time.time() * 1000) + 10**8]))
    produce(s, "1970", t, batch(b"a", times=[0]))
    produce(s, "too large", t, batch(b"x" * 1100000))
    s.call("unknown and known", 0, 9, acks=1, timeoutMs=1000, without=("logAppendTimeMs", "logStartOffset", "errorMessage"), topicData=[
        {"name": t, "partitionData": [{"index": 0, "records": batch(b"a")}, {"index": 5, "records": batch(b"a")}]}, {"name": "nothere?", "partitionData": [{"index": 0, "records": batch(b"a")}]}])
    s.call("no topics", 0, 9, acks=-1, timeoutMs=1000, topicData=[])
    c = s.topic("c", configs={"cleanup.policy": "compact"})
    produce(s, "compacted without key", c, batch(b"a", key=None))
    produce(s, "compacted with key", c, batch(b"a"))
    m = s.topic("m", configs={"max.message.bytes": "200"})
    produce(s, "above the topic's bound", m, batch(b"x" * 300))
    produce(s, "below it", m, batch(b"x" * 20))
    a = s.topic("a", configs={"message.timestamp.type": "LogAppendTime"})
    got = produce(s, "append time", a, batch(b"a", times=[5]))
    s.see("append time is set", got["responses"][0]["partitionResponses"][0]["logAppendTimeMs"] > 10**12)
    b = s.topic("b", configs={"message.timestamp.before.max.ms": "1000"})
    produce(s, "before what the topic takes", b, batch(b"a", b"b", times=[1, 2]))
    produce(s, "one of two before", b, batch(b"a", b"b", times=[int(time.time() * 1000), 2]))
    produce(s, "to the offsets' topic", "__consumer_offsets", batch(b"a"))
    produce(s, "transactional id without", t, batch(b"a"), transactionalId="x")


def idempotence(s):
    t = s.topic()
    while s.ask(22, 0, transactionalId=None, transactionTimeoutMs=1000)["errorCode"]:
        time.sleep(0.1)
    for version in range(0, 6):
        more = {"producerId": -1, "producerEpoch": -1} if version >= 3 else {}
        got = s.ask(22, version, transactionalId=None, transactionTimeoutMs=1000, **more)
        s.name(got["producerId"], "pid")
        got["producerId"] = got["producerId"] >= 0
        s.see("v%d" % version, got)
    for _ in range(100):
        pid = s.ask(22, 4, transactionalId=None, transactionTimeoutMs=1000, producerId=-1, producerEpoch=-1)["producerId"]
        if pid >= 0:
            break
        time.sleep(0.1)
    for what, more in {"with id and epoch": (pid, 0), "epoch without id": (-1, 0), "id without epoch": (pid, -1), "an unknown id": (pid + 10**6, 0), "negative": (-5, -5)}.items():
        got = s.ask(22, 4, transactionalId=None, transactionTimeoutMs=1000, producerId=more[0], producerEpoch=more[1])
        got["producerId"] = got["producerId"] >= 0
        s.see(what, got)
    got = s.call("empty transactional id", 22, 4, transactionalId="", transactionTimeoutMs=1000, producerId=-1, producerEpoch=-1)
    produce(s, "first", t, batch(b"a", producer=(pid, 0, 0)))
    produce(s, "again", t, batch(b"a", producer=(pid, 0, 0)))
    produce(s, "next", t, batch(b"b", b"c", producer=(pid, 0, 1)))
    produce(s, "gap", t, batch(b"d", producer=(pid, 0, 9)))
    for i in range(3, 10):
        produce(s, "seq %d" % i, t, batch(b"e", producer=(pid, 0, i)))
    produce(s, "too old a duplicate", t, batch(b"a", producer=(pid, 0, 0)))
    produce(s, "half a duplicate", t, batch(b"b", producer=(pid, 0, 1)))
    produce(s, "next epoch, not at 0", t, batch(b"f", producer=(pid, 1, 10)))
    produce(s, "next epoch", t, batch(b"f", producer=(pid, 1, 0)))
    produce(s, "old epoch", t, batch(b"f", producer=(pid, 0, 10)))
    produce(s, "an unknown producer at 5", t, batch(b"f", producer=(pid + 10**6, 0, 5)))
    produce(s, "a producer id and no sequence", t, batch(b"f", producer=(pid, 1, -1)))
    produce(s, "a producer id and no epoch", t, batch(b"f", producer=(pid, -1, 1)))
    got = s.ask(61, 0, topics=[{"name": t, "partitionIndexes": [0, 4]}, {"name": "nothere", "partitionIndexes": [0]}])
    for one in got["topics"]:
        for p in one["partitions"]:
            for a in p["activeProducers"]:
                a.pop("lastTimestamp")  # leatd only keeps those of topics with LogAppendTime
                a["producerId"] -= pid
    s.see("producers", got, "errorMessage")
    s.call("producers of none", 61, 0, topics=[])


def fetch(s, what, topic, offset, version=11, partition=0, wait=0, last=-1, least=1, most=10**6, epoch=-1, session=0, session_epoch=-1, isolation=0, without=(), **more):
    one = {"partition": partition, "fetchOffset": offset, "partitionMaxBytes": most}
    if version >= 9:
        one["currentLeaderEpoch"] = epoch
    if version >= 12:
        one["lastFetchedEpoch"] = last
    body = dict(maxWaitMs=wait, minBytes=least, topics=[{("topicId" if version >= 13 else "topic"): topic, "partitions": [one]}], isolationLevel=isolation, maxBytes=10**7, **more)
    if version < 15:
        body["replicaId"] = -1
    if version >= 7:
        body["sessionId"], body["sessionEpoch"] = session, session_epoch
    return s.call(what, 1, version, without=(*without, "recordsSizeInBytes", "abortedTransactions"), **body)


def fetches(s):
    t = s.topic(partitions=2)
    for i in range(3):
        produce(s, "records", t, batch(b"a%d" % i))
    for version in range(4, 13):
        fetch(s, "v%d" % version, t, 0, version)
        fetch(s, "end v%d" % version, t, 3, version)
        fetch(s, "behind the end v%d" % version, t, 4, version)
        fetch(s, "negative v%d" % version, t, -1, version)
        fetch(s, "unknown topic v%d" % version, "nothere", 0, version)
        fetch(s, "unknown partition v%d" % version, t, 0, version, partition=7)
    for version in range(13, 19):
        i = s.id_of(t)
        fetch(s, "v%d" % version, i, 0, version)
        fetch(s, "behind the end v%d" % version, i, 4, version)
        fetch(s, "unknown id v%d" % version, NOID, 0, version)
        fetch(s, "no id v%d" % version, ZERO_ID, 0, version)
        fetch(s, "unknown partition v%d" % version, i, 0, version, partition=7)
    fetch(s, "epoch ahead", t, 0, epoch=77)
    fetch(s, "epoch 0", t, 0, epoch=0)
    fetch(s, "read committed", t, 0, isolation=1)
    fetch(s, "no bytes", t, 0, most=0)
    fetch(s, "1 byte", t, 0, most=1)
    for last in (0, 1, 9, -2):
        fetch(s, "last fetched epoch %d" % last, t, 2, 12, last=last)
    fetch(s, "unknown session", t, 0, session=12345, session_epoch=1)
    fetch(s, "unknown session, final", t, 0, session=12345, session_epoch=-1)
    fetch(s, "session, epoch 0 of one", t, 0, session=12345, session_epoch=0, without=SESSION)
    got = fetch(s, "a new session", t, 0, session_epoch=0, without=SESSION)
    sid = got["sessionId"]
    s.see("it has an id", sid > 0)
    nothing = dict(maxWaitMs=0, minBytes=1, maxBytes=10**6, isolationLevel=0, replicaId=-1, topics=[])
    s.call("session again", 1, 11, without=SESSION, sessionId=sid, sessionEpoch=1, **nothing)
    s.call("wrong epoch", 1, 11, without=SESSION, sessionId=sid, sessionEpoch=7, **nothing)
    fetch(s, "session moves on", t, 3, session=sid, session_epoch=2, without=SESSION)
    s.call("nothing new", 1, 11, without=("sessionId",), sessionId=sid, sessionEpoch=3, **nothing)
    s.call("forgotten", 1, 11, without=("sessionId",), sessionId=sid, sessionEpoch=4, forgottenTopicsData=[{"topic": t, "partitions": [0, 5]}], **nothing)
    s.call("closed", 1, 11, without=("sessionId",), sessionId=sid, sessionEpoch=-1, **nothing)
    s.call("after it", 1, 11, without=("sessionId",), sessionId=sid, sessionEpoch=5, **nothing)
    s.call("no topics", 1, 11, sessionId=0, sessionEpoch=-1, **nothing)
    fetch(s, "from the start", t, 0, least=10**7, wait=300)
    for what, wait, least, offset in (("waits", 1000, 1, 3), ("more than there is", 1000, 10**6, 0), ("no wait", 0, 1, 3), ("no bytes wanted", 3000, 0, 3), ("an error is told at once", 3000, 1, 9)):
        start = time.monotonic()
        fetch(s, what, t, offset, wait=wait, least=least)
        s.see(what + ": it waited", time.monotonic() - start >= 0.95)


def list_offsets(s):
    # Of 1970, and Kafka looks half a minute after its start whether anything is too old.
    t = s.topic(partitions=2, configs={"retention.ms": "-1"})
    e = s.topic("e")
    for i in range(3):
        produce(s, "records", t, batch(b"a%d" % i, b"b", times=[1000 + i * 10, 1001 + i * 10]))

    def ask(what, timestamp, version, partition=0, topic=t, epoch=-1, isolation=0):
        one = {"partitionIndex": partition, "timestamp": timestamp}
        if version >= 4:
            one["currentLeaderEpoch"] = epoch
        body = dict(replicaId=-1, topics=[{"name": topic, "partitions": [one]}])
        if version >= 2:
            body["isolationLevel"] = isolation
        if version >= 10:
            body["timeoutMs"] = 5000
        s.call("%s v%d" % (what, version), 2, version, **body)
    for version in range(1, 12):
        for timestamp in (-1, -2, -3, -4, -5, -6, -7, 0, 1000, 1001, 1015, 1021, 1022, 5000):
            ask("at %d" % timestamp, timestamp, version)
        ask("unknown partition", -1, version, 8)
        ask("unknown topic", -1, version, 0, "nothere")
        ask("empty, first", -2, version, 0, e)
        ask("empty, last", -1, version, 0, e)
        ask("empty, largest", -3, version, 0, e)
        ask("empty, time", 0, version, 0, e)
    for epoch in (0, 1, 55):
        ask("epoch %d" % epoch, -1, 7, epoch=epoch)
    ask("read committed", -1, 7, isolation=1)
    ask("negative partition", -1, 7, -1)
    s.call("none", 2, 7, replicaId=-1, isolationLevel=0, topics=[])
    s.call("as a follower", 2, 7, replicaId=5, isolationLevel=0, topics=[{"name": t, "partitions": [{"partitionIndex": 0, "timestamp": -1}]}])
    s.call("as a debug client", 2, 7, replicaId=-2, isolationLevel=0, topics=[{"name": t, "partitions": [{"partitionIndex": 0, "timestamp": -1}]}])

    def ends(what, version, epoch, current=-1, partition=0, topic=t):
        body = dict(topics=[{"topic": topic, "partitions": [{"partition": partition, "leaderEpoch": epoch, "currentLeaderEpoch": current}]}])
        if version >= 3:
            body["replicaId"] = -1
        s.call("%s v%d" % (what, version), 23, version, **body)
    for version in (2, 3, 4):
        for epoch in (-1, 0, 1, 99):
            ends("end of %d" % epoch, version, epoch)
        ends("current 0", version, 0, 0)
        ends("current 9", version, 0, 9)
        ends("unknown partition", version, 0, partition=9)
        ends("unknown topic", version, 0, topic="nothere")
        ends("empty", version, 0, topic=e)
    for what, partitions in (("up to 2", [(0, 2)]), ("up to 1, which is before", [(0, 1)]), ("beyond", [(0, 99)]), ("-1", [(1, -1)]), ("-2", [(0, -2)]), ("unknown partition", [(9, 0)]), ("up to 3", [(0, 3)])):
        s.call("delete " + what, 21, 2, topics=[{"name": t, "partitions": [{"partitionIndex": p, "offset": o} for p, o in partitions]}], timeoutMs=5000)
    s.call("delete of nothing", 21, 2, topics=[{"name": "nothere", "partitions": [{"partitionIndex": 0, "offset": 0}]}], timeoutMs=5000)
    s.call("delete of the offsets' topic", 21, 2, topics=[{"name": "__consumer_offsets", "partitions": [{"partitionIndex": 0, "offset": 0}]}], timeoutMs=5000)
    c = s.topic("c", configs={"cleanup.policy": "compact"})
    produce(s, "compacted", c, batch(b"a"))
    s.call("delete of compacted", 21, 2, topics=[{"name": c, "partitions": [{"partitionIndex": 0, "offset": 1}]}], timeoutMs=5000)
    for timestamp in (-1, -2, -3, -4, -5, 0):
        ask("deleted, at %d" % timestamp, timestamp, 9)
    fetch(s, "before what is left", t, 0)
    fetch(s, "what is left", t, 3)
    for timestamp in (-1, -2, -4, -5, 0):
        s.call("delete to the end", 21, 2, topics=[{"name": t, "partitions": [{"partitionIndex": 0, "offset": -1}]}], timeoutMs=5000)
        ask("all deleted, at %d" % timestamp, timestamp, 9)


def metadata(s):
    t = s.topic(partitions=2)
    without = ("clusterId", "host", "port", "rack")
    for version in range(0, 14):
        more = {"allowAutoTopicCreation": False} if version >= 4 else {}
        s.call("one v%d" % version, 3, version, without=without, topics=[{"name": t}], **more)
        if version >= 4:
            s.call("unknown v%d" % version, 3, version, without=without, topics=[{"name": "nothere"}], **more)
        s.call("invalid v%d" % version, 3, version, without=without, topics=[{"name": "a b"}, {"name": "."}, {"name": ""}, {"name": "x" * 250}], **more)
        if version >= 1:
            s.call("none v%d" % version, 3, version, without=without, topics=[], **more)
        if version >= 10:
            s.call("unknown id v%d" % version, 3, version, without=without, topics=[{"name": None, "topicId": NOID}], **more)
        if version >= 12:
            s.call("by id v%d" % version, 3, version, without=without, topics=[{"name": None, "topicId": s.id_of(t)}], **more)
            s.call("by id and name v%d" % version, 3, version, without=without, topics=[{"name": t, "topicId": s.id_of(t)}], **more)
            s.call("by id and other name v%d" % version, 3, version, without=without, topics=[{"name": "other", "topicId": s.id_of(t)}], **more)
            s.call("by unknown id and name v%d" % version, 3, version, without=without, topics=[{"name": t, "topicId": NOID}], **more)
        if version >= 8:
            s.call("operations v%d" % version, 3, version, without=without, topics=[{"name": t}], includeTopicAuthorizedOperations=True, **({"includeClusterAuthorizedOperations": True} if version <= 10 else {}), **more)
    s.call("twice", 3, 9, without=without, topics=[{"name": t}, {"name": t}])
    s.call("internal", 3, 9, without=without + ("partitions",), topics=[{"name": "__consumer_offsets"}])
    s.call("invalid, made by asking", 3, 4, without=without, topics=[{"name": "a b"}], allowAutoTopicCreation=True)
    for version in range(0, 3):
        s.call("cluster v%d" % version, 60, version, without=without, **({"endpointType": 1} if version else {}), includeClusterAuthorizedOperations=True)
    s.call("cluster, controllers", 60, 1, without=without, endpointType=2)
    s.call("cluster, type 7", 60, 1, without=without, endpointType=7)
    s.call("describe partitions", 75, 0, topics=[{"name": t}, {"name": "nothere"}], responsePartitionLimit=100)
    s.call("describe partitions, one", 75, 0, topics=[{"name": t}], responsePartitionLimit=1)
    s.call("describe partitions, zero", 75, 0, topics=[{"name": t}], responsePartitionLimit=0)
    s.call("describe partitions, cursor", 75, 0, topics=[{"name": t}], responsePartitionLimit=1, cursor={"topicName": t, "partitionIndex": 1})
    s.call("describe partitions, cursor behind", 75, 0, topics=[{"name": t}], responsePartitionLimit=1, cursor={"topicName": t, "partitionIndex": 9})
    s.call("describe partitions, cursor negative", 75, 0, topics=[{"name": t}], responsePartitionLimit=1, cursor={"topicName": t, "partitionIndex": -1})
    s.call("describe partitions, cursor later", 75, 0, topics=[{"name": t}], responsePartitionLimit=1, cursor={"topicName": t + "z", "partitionIndex": 0})
    s.call("describe partitions, twice", 75, 0, topics=[{"name": t}, {"name": t}], responsePartitionLimit=10)


def versions(s):
    leave = ("apiKeys", "supportedFeatures", "finalizedFeatures", "finalizedFeaturesEpoch")
    for version in range(0, 3):
        s.call("v%d" % version, 18, version, without=leave)
    for version in range(3, 5):
        s.call("v%d" % version, 18, version, without=leave, clientSoftwareName="a", clientSoftwareVersion="1")
        for name, number in (("", "1"), ("a", ""), ("a b", "1"), ("-a", "1"), ("a", "1 2"), ("a.b-c", "1.2-x")):
            s.call("v%d %r %r" % (version, name, number), 18, version, without=leave, clientSoftwareName=name, clientSoftwareVersion=number)
    for version in (5, 99, 32767):
        got = s.at("n%d" % version).raw(struct.pack(">hhih", 18, version, 7, -1) + b"\0\0\0\0")
        s.see("v%d" % version, got[:10].hex() if isinstance(got, bytes) else got)
        s.see("then v0", s.at("n%d" % version).raw(struct.pack(">hhih", 18, 0, 8, -1))[:6].hex())
    for what, key, version, body in (("unknown key", 999, 0, b""), ("Produce v2", 0, 2, b"\0" * 12), ("Fetch v99", 1, 99, b"\0" * 40), ("Heartbeat v9", 12, 9, b"\0" * 10), ("cut Heartbeat", 12, 0, b"\0\5ab")):
        got = s.at(what).raw(struct.pack(">hhih", key, version, 7, -1) + body, 3)
        s.see(what, got.hex() if isinstance(got, bytes) else got)
    s.call("SASL", 17, 1, mechanism="PLAIN", without=("mechanisms",))


CASES = [produces, idempotence, fetches, list_offsets, metadata, versions]
