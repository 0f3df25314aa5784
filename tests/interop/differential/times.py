"""What clients see of time: sessions that end, rebalances that do not wait for ever, answers that wait."""
import time

from differential.consumer import A, B, heart, topic
from differential.groups import join, member_of_one, sync
from differential.peer import assignment


def times(s):
    g, t = s.case, topic(s, partitions=2)
    watched = {}  # what is to happen -> how it is seen; each in 2 s, counted from before it was asked for
    begun = {}

    def watch(what, happened, began):
        watched[what], begun[what] = happened, began

    def state(group):
        return s.ask(15, 5, groups=[group])["groups"][0]
    began = time.monotonic()
    member_of_one(s, g + "dies", session=2000)
    watch("a member without heartbeats is gone", lambda: state(g + "dies")["groupState"] == "Empty", began)
    began = time.monotonic()
    member_of_one(s, g + "static", "i", session=2000)
    watch("a static member, too", lambda: state(g + "static")["groupState"] == "Empty", began)
    began = time.monotonic()
    first = join(s, "asks", g + "nosync", session=30000, rebalance=2000)["memberId"]
    join(s, "joins and never syncs", g + "nosync", first, session=30000, rebalance=2000)
    watch("who never syncs is gone", lambda: state(g + "nosync")["groupState"] == "Empty", began)
    for group, instance in (("norejoin", None), ("norejoin-static", "i")):
        group = g + group
        first = join(s, "asks", group, instance=instance, rebalance=2000)
        if instance is None:
            first = join(s, "joins", group, first["memberId"], rebalance=2000)
        sync(s, "syncs", group, first["memberId"], 1, assignments=[(first["memberId"], assignment(t=[0]))], **({"groupInstanceId": instance} if instance else {}))
        began = time.monotonic()
        second = join(s, "a second asks", group, at=group, rebalance=2000)["memberId"]
        join(s, "joins", group, second, at=group, wait=False, rebalance=2000)
        watch("a rebalance goes on without who does not come: " + group[len(g):], lambda at=group: s.take(at, 0.001) != "nothing", began)
    heart(s, "joins", g + "848", A, 0, full=[t])
    heart(s, "joins with a session", g + "848r", A, 0, full=[t], rebalanceTimeoutMs=2000)
    began = time.monotonic()
    heart(s, "a second", g + "848r", B, 0, full=[t], at="b")
    heart(s, "the first is to give", g + "848r", A, s.epoch_base + 1, without=("assignment", "partitions"))

    def fenced():
        got = s.ask(68, 1, groupId=g + "848r", memberId=A, memberEpoch=s.epoch_base + 1)
        return got["errorCode"] != 0
    watch("who does not give is fenced", fenced, began)
    seen, end = {}, time.monotonic() + 30
    while len(seen) < len(watched) and time.monotonic() < end:
        for what, happened in watched.items():
            if what not in seen and happened():
                seen[what] = time.monotonic() - begun[what]
        time.sleep(0.03)
    for what in watched:
        s.see(what, "never" if what not in seen else "too early" if seen[what] < 1.95 else "in time" if seen[what] < 12 else "late")


CASES = [times]
