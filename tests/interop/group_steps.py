"""The steps `group` and `resume` of the matrix for clients in Python: what a group of two has to see, whoever made it.

An adapter is a class `Member(group, topic, instance)` with poll(seconds) -> [(partition, offset, value)], owned() -> {partition},
commit(), committed(partition) and close(); its methods are called on one thread only, as blocking clients want it.
"""
import queue
import sys
import threading
import time
import traceback

PARTITIONS = 4
SECONDS_MAX = 60


class Running:
    """A member on a thread of its own, which polls until told otherwise."""

    def __init__(self, member, *words):
        self.records, self.owned, self.error = [], None, None
        self.changes = 0  # how often what it owns became something else
        self.wishes = queue.Queue()
        self.thread = threading.Thread(target=self._run, args=(member, words), daemon=True)
        self.thread.start()

    def _run(self, make, words):
        try:
            member = make(*words)
            while True:
                try:
                    wish, done = self.wishes.get_nowait()
                except queue.Empty:
                    self.records += member.poll(0.1)
                    owned = member.owned()
                    self.changes += owned != self.owned
                    self.owned = owned
                    continue
                done.put(wish(member))
                if wish is Running.CLOSE:
                    return
        except Exception as error:
            traceback.print_exc()
            self.error = error

    CLOSE = staticmethod(lambda member: member.close())

    def ask(self, wish):
        done = queue.Queue()
        self.wishes.put((wish, done))
        until(lambda: not done.empty() or self.error, "an answer of the member")
        self.check()
        return done.get()

    def check(self):
        if self.error:
            raise AssertionError("a member failed: %r" % self.error)

    def commit(self):
        self.ask(lambda member: member.commit())

    def close(self):
        self.ask(Running.CLOSE)

    def values(self, partition):
        """What it read of a partition, once each, in the order of offsets."""
        return [value for _, value in sorted({(o, v) for p, o, v in self.records if p == partition})]


def until(condition, what, seconds=SECONDS_MAX):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("no %s within %d s" % (what, seconds))
        time.sleep(0.01)


def settled(members, share):
    """All partitions have one owner each, and each member as many as it should."""
    for member in members:
        member.check()
    owned = [m.owned or set() for m in members]
    return [len(o) for o in owned] == share and set().union(*owned) == set(range(PARTITIONS))


def reads(member, count, what):
    """Waits until it has read that many records; one that failed says so at once, and one that hangs tells what it has."""
    def have():
        return len({(p, o) for p, o, _ in member.records})

    def enough():
        member.check()
        return have() >= count
    try:
        until(enough, what)
    except AssertionError as late:
        raise AssertionError("%s: it has %d of %d records and owns %s" % (late, have(), count, member.owned)) from None


def values(first, count, partition):
    return [b"%d-%d" % (partition, i) for i in range(first, first + count)]


def group(member, topic, send):
    """Two share the partitions; a static member comes back and nothing moves; when one leaves, the other has all."""
    for partition in range(PARTITIONS):
        send(topic, partition, values(0, 50, partition))
    first = Running(member, "pair-" + topic, topic, "static-1")
    until(lambda: settled([first], [PARTITIONS]), "member that owns all")
    second = Running(member, "pair-" + topic, topic, None)
    until(lambda: settled([first, second], [2, 2]), "split in halves")
    for partition in range(PARTITIONS):
        send(topic, partition, values(50, 50, partition))
    def all_read():
        first.check()
        second.check()
        return all(len(set(first.values(p) + second.values(p))) == 100 for p in range(PARTITIONS))
    until(all_read, "end of reading")
    for partition in range(PARTITIONS):
        owner = first if partition in first.owned else second
        if owner.values(partition)[-50:] != values(50, 50, partition):
            raise AssertionError("partition %d: its owner did not read what came after the split" % partition)
    first.commit()
    second.commit()
    before, changes = set(first.owned), second.changes
    first.close()
    again = Running(member, "pair-" + topic, topic, "static-1")
    until(lambda: settled([again, second], [2, 2]), "return of the static member")
    if again.owned != before or second.changes != changes:
        raise AssertionError("the static member had %s, came back to %s; the other saw %d rebalances" % (
            before, again.owned, second.changes - changes))
    if again.records:
        raise AssertionError("the static member read again what was committed: %r" % again.records[:3])
    second.close()
    until(lambda: settled([again], [PARTITIONS]), "inheritance of the one that left")
    again.close()


def resume(member, topic, send):
    """A commit, a SIGKILL of the broker, and both the living member and a new one go on where the commit stands."""
    name = "resume-" + topic
    for partition in range(PARTITIONS):
        send(topic, partition, values(0, 40, partition))
    living = Running(member, name, topic, None)
    reads(living, 40 * PARTITIONS, "first reading")
    for partition in range(PARTITIONS):
        if living.values(partition) != values(0, 40, partition):
            raise AssertionError("partition %d: the first reading gave something else" % partition)
    living.commit()
    print("kill", flush=True)
    if sys.stdin.readline().strip() != "killed":
        raise AssertionError("the broker was not killed")
    for partition in range(PARTITIONS):
        send(topic, partition, values(40, 40, partition))
    reads(living, 80 * PARTITIONS, "reading after the kill")
    for partition in range(PARTITIONS):
        if living.values(partition) != values(0, 80, partition):
            raise AssertionError("partition %d: the member that lived on read something else" % partition)
        committed = living.ask(lambda m, p=partition: m.committed(p))
        if committed != 40:
            raise AssertionError("partition %d: 40 was committed, after the kill it is %s" % (partition, committed))
    living.close()
    new = Running(member, name, topic, None)
    reads(new, 40 * PARTITIONS, "reading of a new member")
    for partition in range(PARTITIONS):
        if new.values(partition) != values(40, 40, partition):
            raise AssertionError("partition %d: a new member did not go on where the commit stood" % partition)
    new.commit()
    new.close()
