"""Classic groups (keys 8 to 16, 42, 47): the same requests to Kafka and to leatd."""
import time

from differential.peer import ZERO_ID, assignment, subscription

RANGE = [{"name": "range", "metadata": subscription("t")}]
TWO = RANGE + [{"name": "roundrobin", "metadata": subscription("t")}]


def join(s, what, group, member="", version=9, at="main", instance=None, protocols=None, kind="consumer", session=30000, rebalance=30000, wait=True, without=()):
    body = {"groupId": group, "memberId": member, "sessionTimeoutMs": session, "protocolType": kind, "protocols": RANGE if protocols is None else protocols}
    if version >= 1:
        body["rebalanceTimeoutMs"] = rebalance
    if version >= 5:
        body["groupInstanceId"] = instance
    s.send(11, version, at, **body)
    return joined(s, what, at, without=without) if wait else None


def joined(s, what, at="main", name=None, without=()):
    answer = s.take(at)
    if isinstance(answer, dict) and answer["memberId"] and answer["memberId"] not in s.names:
        s.name(answer["memberId"], name or "member of " + what)
    return s.see(what, answer, *without)


def sync(s, what, group, member, generation, version=5, at="main", assignments=(), wait=True, **more):
    body = {"groupId": group, "memberId": member, "generationId": generation, "assignments": [{"memberId": m, "assignment": a} for m, a in assignments], **more}
    if version >= 5:
        body = {"protocolType": "consumer", "protocolName": "range", **body}
    s.send(14, version, at, **body)
    return s.see(what, s.take(at)) if wait else None


def beat(s, what, group, member, generation, instance=None, version=4, at="main"):
    body = {"groupId": group, "memberId": member, "generationId": generation}
    if version >= 3:
        body["groupInstanceId"] = instance
    return s.call(what, 12, version, at, **body)


def member_of_one(s, group, instance=None, at="main", protocols=None, session=30000, topic="t"):
    """A stable group of one member; returns its id."""
    if instance is None:
        first = join(s, "asks for an id", group, at=at, protocols=protocols, session=session)
        answer = join(s, "joins", group, first["memberId"], at=at, protocols=protocols, session=session)
    else:
        answer = join(s, "joins", group, at=at, instance=instance, protocols=protocols, session=session)
    sync(s, "syncs", group, answer["memberId"], answer["generationId"], at=at, assignments=[(answer["memberId"], assignment(**{topic: [0, 1]}))],
         **({"groupInstanceId": instance} if instance else {}))
    return answer["memberId"], answer["generationId"]


def describe(s, what, group, version=6):
    for answer in [s.ask(15, version, groups=[group], **({"includeAuthorizedOperations": True} if version >= 3 else {}))]:
        for one in answer["groups"]:
            for member in one["members"]:
                member["clientHost"] = member["clientHost"].strip("/")
        return s.see(what, answer)


def commit(s, what, group, topic, member="", generation=-1, version=9, offset=5, metadata="m", instance=None, partition=0, epoch=3, **more):
    one = {"partitionIndex": partition, "committedOffset": offset, "committedMetadata": metadata}
    if version >= 6:
        one["committedLeaderEpoch"] = epoch
    body = {"groupId": group, "memberId": member, "generationIdOrMemberEpoch": generation,
            "topics": [{("topicId" if version >= 10 else "name"): topic, "partitions": [one]}], **more}
    if version >= 7:
        body["groupInstanceId"] = instance
    return s.call(what, 8, version, **body)


def offsets(s, what, group, topics=None, version=9, stable=False, **more):
    field = "topicId" if version >= 10 else "name"
    asked = None if topics is None else [{field: t, "partitionIndexes": p} for t, p in topics]
    if version < 8:
        body = {"groupId": group, "topics": asked}
    else:
        body = {"groups": [{"groupId": group, "topics": asked, **more}]}
    if version >= 7:
        body["requireStable"] = stable
    return s.call(what, 9, version, **body)


def join_refusals(s):
    g = s.case
    for version in range(0, 10):
        join(s, "an unknown member of no group, v%d" % version, g + "none", "who", version)
        join(s, "no group id, v%d" % version, "", version=version)
        join(s, "a short session, v%d" % version, g, version=version, session=100)
        join(s, "a long session, v%d" % version, g, version=version, session=9999999)
        join(s, "no protocols, v%d" % version, g + "np%d" % version, version=version, protocols=[])
        join(s, "no protocol type, v%d" % version, g + "nt%d" % version, version=version, kind="")
        join(s, "a new member, v%d" % version, g + "new%d" % version, version=version)
    join(s, "no protocol type and none", g + "nn", kind="", protocols=[])
    join(s, "an instance, v5", g + "i5", version=5, instance="i")
    join(s, "an instance, unknown member", g + "i9", "who", instance="i")
    describe(s, "what is there of a pending group", g + "new9")
    describe(s, "what is there of the empty name", "")
    s.call("find the empty group", 10, 4, keyType=0, coordinatorKeys=[""], without=("host", "port", "errorMessage"))


def join_other_protocols(s):
    member, generation = member_of_one(s, s.case)
    join(s, "another protocol type", s.case, kind="connect", protocols=RANGE)
    join(s, "no common protocol", s.case, protocols=[{"name": "else", "metadata": subscription("t")}])
    join(s, "no protocol", s.case, protocols=[])
    join(s, "the member itself with another type", s.case, member, kind="connect", protocols=RANGE)
    join(s, "the member itself with no common protocol, which is its own group", s.case, member, protocols=[{"name": "else", "metadata": ""}])
    beat(s, "its heartbeat", s.case, member, generation)
    describe(s, "afterwards", s.case)


def stable_group(s):
    g = s.case
    member, generation = member_of_one(s, g)
    for version in range(0, 5):
        beat(s, "heartbeat v%d" % version, g, member, generation, version=version)
    beat(s, "of an unknown member", g, "who", generation)
    beat(s, "of no member", g, "", generation)
    beat(s, "of an old generation", g, member, generation - 1)
    beat(s, "of a later generation", g, member, generation + 1)
    beat(s, "of generation -1", g, member, -1)
    beat(s, "with an instance that is not there", g, member, generation, "i")
    beat(s, "of no group", g + "none", member, generation)
    beat(s, "of the empty group", "", member, generation)
    sync(s, "sync again", g, member, generation)
    for version in range(0, 5):
        sync(s, "sync again v%d" % version, g, member, generation, version)
    sync(s, "sync of an unknown member", g, "who", generation)
    sync(s, "sync of another generation", g, member, generation + 1)
    sync(s, "sync of another type", g, member, generation, protocolType="connect")
    sync(s, "sync of another protocol", g, member, generation, protocolName="roundrobin")
    sync(s, "sync without protocol", g, member, generation, protocolType=None, protocolName=None)
    sync(s, "sync with an instance", g, member, generation, groupInstanceId="i")
    sync(s, "sync of no group", g + "none", member, generation)
    sync(s, "sync of the empty group", "", member, generation)
    join(s, "the leader joins again", g, member)
    beat(s, "while its group rebalances", g, member, generation + 1)
    describe(s, "while it completes", g)
    commit(s, "a commit while it completes", g, s.topic(), member, generation + 1)
    commit(s, "a commit of the old generation", g, s.case, member, generation)
    sync(s, "it syncs without assignments", g, member, generation + 1)
    describe(s, "afterwards", g)
    for version in range(0, 7):
        describe(s, "described v%d" % version, g, version)
        describe(s, "no group v%d" % version, g + "none", version)
    s.call("none described", 15, 5, groups=[])


def two_members(s):
    g = s.case
    first, generation = member_of_one(s, g, protocols=TWO)
    second = join(s, "a second asks for an id", g, at="b", protocols=TWO)["memberId"]
    join(s, "it joins", g, second, at="b", protocols=TWO, wait=False)
    for _ in range(200):
        if s.ask(12, 4, groupId=g, generationId=generation, memberId=first)["errorCode"]:
            break
        time.sleep(0.02)
    beat(s, "the first is told", g, first, generation)
    describe(s, "while it rebalances", g)
    sync(s, "a sync meanwhile", g, first, generation)
    t = s.topic()
    commit(s, "a commit of the first meanwhile", g, t, first, generation)
    commit(s, "a simple commit meanwhile", g, t)
    s.call("delete of a group with members", 42, 2, groupsNames=[g])
    join(s, "the first joins with fewer", g, first, protocols=RANGE, wait=False)
    a = joined(s, "the first is in", name="first")
    b = joined(s, "the second is in", at="b")
    sync(s, "the follower syncs", g, second, b["generationId"], at="b", wait=False)
    sync(s, "with another protocol name", g, first, a["generationId"], protocolName="roundrobin")
    sync(s, "the leader syncs", g, first, a["generationId"], assignments=[(first, assignment(t=[0])), ("ghost", "AA=="), (second, assignment(t=[1]))])
    s.see("the follower has", s.take("b"))
    describe(s, "two members", g)
    join(s, "the follower joins again with the same", g, second, at="b", protocols=TWO)
    beat(s, "nothing happened", g, first, a["generationId"])
    s.call("mixed leave", 13, 5, groupId=g, members=[{"memberId": second, "groupInstanceId": None}, {"memberId": "who", "groupInstanceId": None},
           {"memberId": "", "groupInstanceId": "none"}, {"memberId": second, "groupInstanceId": None}, {"memberId": first, "groupInstanceId": "i"}])
    beat(s, "the first is told", g, first, a["generationId"])
    join(s, "and is alone", g, first, protocols=RANGE)
    s.call("the last leaves", 13, 2, groupId=g, memberId=first)
    describe(s, "empty", g)
    beat(s, "of the gone", g, first, a["generationId"] + 1)
    commit(s, "of the gone", g, t, first, a["generationId"] + 1)
    commit(s, "with generation and without member", g, t, "", a["generationId"])
    commit(s, "with member and without generation", g, t, first, -1)
    join(s, "the gone joins", g, first)
    commit(s, "simple", g, t)
    s.call("delete twice in one", 42, 2, groupsNames=[g, g, g + "none"])
    describe(s, "deleted", g)
    s.call("delete again", 42, 2, groupsNames=[g])
    s.call("delete the empty name", 42, 2, groupsNames=[""])
    s.call("leave of no group", 13, 5, groupId=g, members=[{"memberId": first}])
    s.call("leave of no group v2", 13, 2, groupId=g, memberId=first)
    s.call("leave of the empty group", 13, 5, groupId="", members=[{"memberId": first}])
    s.call("leave of nobody", 13, 5, groupId=g, members=[])


def votes(s):
    g = s.case
    first, generation = member_of_one(s, g, protocols=TWO)
    second = join(s, "a second asks for an id", g, at="b", protocols=TWO[::-1])["memberId"]
    join(s, "it joins", g, second, at="b", protocols=TWO[::-1], wait=False)
    join(s, "a third of v3 joins", g, version=3, at="c", protocols=TWO[::-1], wait=False)
    for _ in range(200):
        if s.ask(12, 4, groupId=g, generationId=generation, memberId=first)["errorCode"]:
            break
        time.sleep(0.02)
    describe_states(s, g)
    join(s, "the first", g, first, protocols=TWO, wait=False)
    joined(s, "the third", at="c", name="third")
    joined(s, "the first")
    joined(s, "the second", at="b")


def describe_states(s, group):
    answer = s.ask(15, 5, groups=[group])["groups"][0]
    s.see("its state", {k: answer[k] for k in ("groupState", "protocolType", "protocolData")})


def static_members(s):
    g = s.case
    first, generation = member_of_one(s, g, "i", protocols=TWO)
    beat(s, "heartbeat", g, first, generation, "i")
    beat(s, "without instance", g, first, generation)
    beat(s, "with another member", g, "who", generation, "i")
    again = join(s, "it comes again, same protocols", g, instance="i", protocols=TWO)
    second = again["memberId"]
    beat(s, "the old one is fenced", g, first, generation, "i")
    sync(s, "its sync, too", g, first, generation, groupInstanceId="i")
    commit(s, "its commit, too", g, s.topic(), first, generation, instance="i")
    join(s, "its join, too", g, first, instance="i", protocols=TWO)
    s.call("its leave, too", 13, 5, groupId=g, members=[{"memberId": first, "groupInstanceId": "i"}])
    beat(s, "the new one lives", g, second, again["generationId"], "i")
    sync(s, "and gets what it had", g, second, again["generationId"], groupInstanceId="i")
    third = join(s, "with a second choice less", g, instance="i", protocols=RANGE)["memberId"]
    describe(s, "after that", g)
    fourth = join(s, "with other protocols", g, instance="i", protocols=TWO[1:])["memberId"]
    describe(s, "after that, too", g)
    v8 = join(s, "v8", g, instance="i", protocols=TWO[1:], version=8)["memberId"]
    sync(s, "v8 syncs", g, v8, s.seen[-1][1]["generationId"], groupInstanceId="i", protocolName="roundrobin", assignments=[(v8, "AA==")])
    v4 = join(s, "v8 again", g, instance="i", protocols=TWO[1:], version=8)["memberId"]
    v5 = join(s, "v5 again", g, instance="i", protocols=TWO[1:], version=5)["memberId"]
    commit(s, "a commit with a bad instance", g, s.case, v5, 1, instance="other")
    s.call("leave by instance with a reason", 13, 5, groupId=g, members=[{"memberId": "", "groupInstanceId": "i", "reason": "r"}])
    describe(s, "nobody", g)
    join(s, "an old member id", g, v5, instance="i", protocols=TWO)
    member_of_one(s, g + "2", "a")
    s.call("unknown instance", 13, 4, groupId=g + "2", members=[{"memberId": "", "groupInstanceId": "b"}, {"memberId": "who", "groupInstanceId": "a"}])
    s.call("instance and the like twice", 13, 4, groupId=g + "2", members=[{"memberId": "", "groupInstanceId": "a"}, {"memberId": "", "groupInstanceId": "a"}])
    describe(s, "empty", g + "2")


def commits(s):
    g, t = s.case, s.topic(partitions=2)
    for version in range(2, 10):
        commit(s, "to no group v%d" % version, g + "%d" % version, t, version=version)
        offsets(s, "there v%d" % version, g + "%d" % version, [(t, [0, 1])], version=min(version, 9))
    commit(s, "v2 with retention", g + "r", t, version=2, retentionTimeMs=1000)
    commit(s, "unknown topic", g, "nothere")
    commit(s, "invalid topic", g, "a b")
    commit(s, "empty topic", g, "")
    commit(s, "unknown partition", g, t, partition=7)
    commit(s, "negative partition", g, t, partition=-1)
    describe(s, "after refusals", g)
    commit(s, "metadata too long", g, t, metadata="x" * 4097)
    commit(s, "metadata just fits", g, t, metadata="x" * 4096)
    commit(s, "metadata null", g, t, metadata=None, partition=1)
    commit(s, "offset negative", g + "neg", t, offset=-1)
    commit(s, "epoch -1", g + "neg", t, epoch=-1)
    commit(s, "no group id", "", t)
    commit(s, "with generation of no group", g + "gen", t, "who", 1)
    commit(s, "with generation -1 and a member", g + "gen", t, "who", -1)
    commit(s, "with generation 0", g + "gen", t, "", 0)
    commit(s, "with an instance", g + "gen", t, "", -1, instance="i")
    s.call("no topics", 8, 9, groupId=g, memberId="", generationIdOrMemberEpoch=-1, topics=[])
    s.call("no partitions", 8, 9, groupId=g, memberId="", generationIdOrMemberEpoch=-1, topics=[{"name": t, "partitions": []}])
    s.call("mixed", 8, 9, groupId=g, memberId="", generationIdOrMemberEpoch=-1, topics=[
        {"name": t, "partitions": [{"partitionIndex": 0, "committedOffset": 9, "committedMetadata": ""}, {"partitionIndex": 9, "committedOffset": 1, "committedMetadata": ""},
                                   {"partitionIndex": 0, "committedOffset": 11, "committedMetadata": "later"}]},
        {"name": "nothere", "partitions": [{"partitionIndex": 0, "committedOffset": 1, "committedMetadata": ""}]}])
    for version in range(1, 10):
        offsets(s, "v%d" % version, g, [(t, [0, 1, 7]), ("nothere", [0])], version=version)
        if version >= 2:
            offsets(s, "all v%d" % version, g, version=version)
            offsets(s, "all of no group v%d" % version, g + "none", version=version)
        offsets(s, "none v%d" % version, g, [], version=version)
        offsets(s, "no group v%d" % version, g + "none", [(t, [0])], version=version)
        offsets(s, "empty name v%d" % version, "", [(t, [0])], version=version)
    offsets(s, "of negative", g + "neg", [(t, [0, 1])])
    offsets(s, "stable", g, [(t, [0])], stable=True)
    offsets(s, "named twice", g, [(t, [0, 0]), (t, [0])])
    offsets(s, "with a member", g, [(t, [0])], memberId="who", memberEpoch=3)
    offsets(s, "with an empty member", g, [(t, [0])], memberId="", memberEpoch=-1)
    offsets(s, "with a member and no epoch", g, [(t, [0])], memberId="who", memberEpoch=-1)
    s.call("several groups", 9, 9, groups=[{"groupId": g, "topics": None}, {"groupId": g + "none", "topics": None}, {"groupId": g + "neg", "topics": [{"name": t, "partitionIndexes": [0]}]}])
    s.call("no groups", 9, 9, groups=[])
    describe(s, "described", g)
    listed(s, "listed", g)
    s.call("offset delete", 47, 0, groupId=g, topics=[{"name": t, "partitions": [{"partitionIndex": 0}, {"partitionIndex": 8}]}, {"name": "nothere", "partitions": [{"partitionIndex": 0}]}])
    s.call("offset delete again", 47, 0, groupId=g, topics=[{"name": t, "partitions": [{"partitionIndex": 0}]}])
    s.call("offset delete nothing", 47, 0, groupId=g, topics=[])
    s.call("offset delete of no group", 47, 0, groupId=g + "none", topics=[{"name": t, "partitions": [{"partitionIndex": 0}]}])
    s.call("offset delete of the empty group", 47, 0, groupId="", topics=[{"name": t, "partitions": [{"partitionIndex": 0}]}])
    offsets(s, "all that is left", g)
    topic_id = s.id_of(t)
    commit(s, "by id", g, topic_id, version=10)
    commit(s, "by an unknown id", g, "AAAAAAAAAAAAAAAAAAAAAQ", version=10)
    commit(s, "by no id", g, ZERO_ID, version=10)
    offsets(s, "by id", g, [(topic_id, [0, 5])], version=10)
    offsets(s, "all by id", g, version=10)
    offsets(s, "by an unknown id", g, [("AAAAAAAAAAAAAAAAAAAAAQ", [0])], version=10)
    offsets(s, "by no id", g, [(ZERO_ID, [0])], version=10)
    s.ask(20, 6, topics=[{"name": t, "topicId": ZERO_ID}], timeoutMs=5000)
    for _ in range(200):
        if s.ask(9, 9, groups=[{"groupId": g, "topics": None}])["groups"][0]["topics"] == []:
            break
        time.sleep(0.02)
    offsets(s, "after the topic is deleted", g, [(t, [0])])
    describe(s, "described after it", g)


def listed(s, what, group, version=5, **filters):
    answer = s.ask(16, version, **filters)
    answer["groups"] = [one for one in answer["groups"] if one["groupId"].startswith(s.case)]
    return s.see(what, answer)


def offset_delete_of_members(s):
    g, t, u = s.case, s.topic(), s.topic("u")
    first, generation = member_of_one(s, g, protocols=[{"name": "range", "metadata": subscription(t)}])
    for topic in (t, u):
        commit(s, "commit", g, topic, first, generation)
    s.call("subscribed and not", 47, 0, groupId=g, topics=[{"name": x, "partitions": [{"partitionIndex": 0}]} for x in (t, u)])
    offsets(s, "left", g)
    other, _ = member_of_one(s, g + "x", protocols=[{"name": "range", "metadata": "AA=="}])
    commit(s, "commit", g + "x", t, other, 1)
    s.call("of members whose words are not readable", 47, 0, groupId=g + "x", topics=[{"name": t, "partitions": [{"partitionIndex": 0}]}])
    k = g + "connect"
    m = join(s, "connect asks for an id", k, kind="connect")["memberId"]
    join(s, "connect", k, m, kind="connect")
    sync(s, "connect syncs", k, m, 1, protocolType="connect", assignments=[(m, "AAA=")])
    commit(s, "connect commits", k, t, m, 1)
    s.call("of another type", 47, 0, groupId=k, topics=[{"name": t, "partitions": [{"partitionIndex": 0}]}])
    listed(s, "all", g)
    for version in range(0, 6):
        listed(s, "all v%d" % version, g, version)
    listed(s, "stable", g, statesFilter=["stAble"])
    listed(s, "empty and dead", g, statesFilter=["Empty", "Dead"])
    listed(s, "nonsense", g, statesFilter=["nonsense"])
    listed(s, "assigning", g, statesFilter=["Assigning", "CompletingRebalance"])
    listed(s, "classic", g, typesFilter=["CLASSIC"])
    listed(s, "consumer", g, typesFilter=["consumer"])
    listed(s, "share", g, typesFilter=["share"])
    listed(s, "unknown type", g, typesFilter=["nonsense"])
    listed(s, "unknown type and classic", g, typesFilter=["nonsense", "classic"])
    s.call("delete several", 42, 1, groupsNames=[g, g + "none", ""])
    s.call("consumer description of a classic group", 69, 1, groupIds=[g, g + "none", ""])


CASES = [join_refusals, join_other_protocols, stable_group, two_members, votes, static_members, commits, offset_delete_of_members]
