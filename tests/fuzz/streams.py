"""Conversations for the session fuzzer: what a client of a group, an admin tool and the like say one after the other, so that
changed inputs start from states that no single message reaches. The broker of session_fuzz.cpp has topic `t` with two
partitions, and its source of random bytes counts: the ids of members are known."""
import struct

# The first byte of an input: commits are durable at once, batches of commits as large as they may be, time passes between
# pieces; the upper half is how the stream is cut, into pieces of 1 << n bytes.
FLUSH, SINGLE, TIME, WHOLE = 1, 2, 4, 15 << 4


def stream(frames, steer=FLUSH | WHOLE):
    return bytes([steer]) + b"".join(struct.pack(">i", len(frame)) + frame for frame in frames)


def string(value):
    return struct.pack(">h", -1) if value is None else struct.pack(">h", len(value)) + value.encode()


def array(items):
    return struct.pack(">i", len(items)) + b"".join(items)


def ask(key, version, body):
    return struct.pack(">hhi", key, version, 7) + string("f") + body


# The compact forms of flexible versions (KIP-482); every structure ends in its tags, of which there are none.
TAGS = b"\0"


def compact(value):
    return b"\0" if value is None else bytes([len(value) + 1]) + value.encode()


def compact_array(items):
    return b"\0" if items is None else bytes([len(items) + 1]) + b"".join(items)


def flexible(key, version, body):
    return struct.pack(">hhi", key, version, 7) + string("f") + TAGS + body + TAGS


def member(number, stem="f"):
    return "%s-00000000-0000-4000-8000-%012x" % (stem, number)


# ------------------------------------------------------------------------------------------------ the classic protocol

def join(version, who, group="g", instance=None, protocols=("range", "roundrobin"), session_ms=10_000, kind="consumer"):
    return ask(11, version, string(group) + struct.pack(">i", session_ms) + (struct.pack(">i", 20_000) if version > 0 else b"") +
               string(who) + (string(instance) if version >= 5 else b"") + string(kind) +
               array([string(name) + struct.pack(">i", len(SUBSCRIPTION)) + SUBSCRIPTION for name in protocols]))


SUBSCRIPTION = struct.pack(">h", 0) + array([string("t")]) + struct.pack(">i", -1)
ASSIGNMENT = struct.pack(">h", 0) + array([string("t") + array([struct.pack(">i", 0)])]) + struct.pack(">i", -1)


def sync(version, who, generation, parts=(), group="g", instance=None):
    return ask(14, version, string(group) + struct.pack(">i", generation) + string(who) + (string(instance) if version >= 3 else b"") +
               array([string(one) + struct.pack(">i", len(ASSIGNMENT)) + ASSIGNMENT for one in parts]))


def beat(version, who, generation, group="g", instance=None):
    return ask(12, version, string(group) + struct.pack(">i", generation) + string(who) + (string(instance) if version >= 3 else b""))


def leave(who, group="g"):
    return ask(13, 3, string(group) + array([string(one) + string(instance) for one, instance in who]))


def commit(who, generation, offset, group="g", topic="t"):
    return ask(8, 2, string(group) + struct.pack(">i", generation) + string(who) + struct.pack(">q", -1) +
               array([string(topic) + array([struct.pack(">iq", part, offset) + string("note") for part in (0, 1)])]))


def offsets(group="g"):
    return ask(9, 1, string(group) + array([string("t") + array([struct.pack(">i", 0), struct.pack(">i", 1)])]))


TOOLS = [ask(15, 0, array([string("g"), string("other")])), ask(15, 4, array([string("g")]) + b"\1"), ask(16, 2, b""),
         flexible(16, 5, compact_array([compact("Stable"), compact("Empty")]) + compact_array([compact("classic")])),
         ask(10, 0, string("g")), ask(10, 2, string("g") + b"\0"), flexible(10, 4, b"\0" + compact_array([compact("g")])), offsets(),
         ask(47, 0, string("g") + array([string("t") + array([struct.pack(">i", 1)])])), ask(42, 1, array([string("g")]))]


def classic():
    first = member(2)
    yield "one", [join(3, ""), sync(2, first, 1, [first]), beat(2, first, 1), commit(first, 1, 5), commit(first, 1, 5), offsets(),
                  *TOOLS, leave([(first, None)]), *TOOLS, offsets()]
    second = member(3)
    yield "two", [join(3, ""), sync(2, first, 1, [first]), join(3, ""), beat(2, first, 1), join(3, first),
                  sync(2, second, 2), sync(2, first, 2, [first, second]), beat(2, first, 2), beat(2, second, 2), commit(second, 2, 9),
                  commit(second, 1, 8), *TOOLS]
    yield "known", [join(4, ""), join(4, first), sync(2, first, 1, [first]), beat(2, first, 1), join(4, first),
                    join(4, first, protocols=("sticky",)), sync(2, first, 2, [first]), leave([(first, None)])]
    fixed = member(2, "i")
    yield "static", [join(5, "", instance="i"), sync(3, fixed, 1, [fixed], instance="i"), beat(3, fixed, 1, instance="i"),
                     join(5, "", instance="i"), beat(3, fixed, 1, instance="i"), beat(3, member(3, "i"), 1, instance="i"),
                     join(5, "", instance="j"), join(5, member(3, "i"), instance="i"), leave([("", "i"), ("", "nobody")]), *TOOLS]
    yield "silent", [join(3, ""), sync(2, first, 1, [first]), join(3, "", session_ms=6_000), *[offsets()] * 40, beat(2, first, 1),
                     join(3, first), sync(2, first, 2, [first]), *[offsets()] * 40, *TOOLS]
    yield "connect", [join(2, "", kind="connect", protocols=("sessioned", "default")), sync(1, first, 1, [first]), beat(1, first, 1),
                      join(2, "", kind="consumer"), commit("", -1, 3), *TOOLS]
    yield "outside", [commit("", -1, 1), commit("", -1, 1), commit("", -1, -1), offsets(), commit("", -1, 7, topic="nowhere"), *TOOLS,
                      commit("", -1, 2), ask(42, 0, array([string("g")])), offsets()]


# ------------------------------------------------------------------------------------------------ KIP-848

T = bytes(15) + b"\1"  # the id of topic `t`


def consume(who, epoch, topics=("t",), regex=None, instance=None, owned=None, assignor=None, version=1, group="k"):
    return flexible(68, version, compact(group) + compact(who) + struct.pack(">i", epoch) + compact(instance) + compact(None) +
                    struct.pack(">i", 60_000) + compact_array(None if topics is None else [compact(one) for one in topics]) +
                    (compact(regex) if version >= 1 else b"") + compact(assignor) +
                    compact_array(None if owned is None else [T + compact_array([struct.pack(">i", one) for one in owned]) + TAGS]
                                  if owned else []))


def consumer_commit(who, epoch, version=9):
    topic = compact("t") if version < 10 else T
    return flexible(8, version, compact("k") + struct.pack(">i", epoch) + compact(who) + compact(None) + compact_array(
        [topic + compact_array([struct.pack(">iqi", 0, 4, -1) + compact("") + TAGS]) + TAGS]))


def consumer_offsets(who, epoch, version=9):
    topic = compact("t") if version < 10 else T
    return flexible(9, version, compact_array([compact("k") + compact(who) + struct.pack(">i", epoch) + compact_array(
        [topic + compact_array([struct.pack(">i", 0)]) + TAGS]) + TAGS]) + b"\0")


def consumers():
    describe = [flexible(69, version, compact_array([compact("k")]) + b"\0") for version in (0, 1)]
    both = lambda version: [consumer_commit("a", 1, version), consumer_offsets("a", 1, version)]
    yield "one", [consume("a", 0, owned=()), consume("a", 1, topics=None), *describe, *both(9), *both(10), consume("a", -1), *describe]
    yield "two", [consume("a", 0, owned=()), consume("b", 0, owned=(), assignor="range"), consume("a", 1, topics=None, owned=(0, 1)),
                  consume("a", 1, topics=None, owned=(0,)), consume("a", 2, topics=None, owned=(0,)), consume("b", 2, topics=None),
                  consume("b", 3, topics=None, owned=(1,)), *describe, ask(16, 2, b"")]
    yield "regex", [consume("a", 0, topics=(), regex="t|u.*", owned=()), *describe, consume("a", 1, topics=(), regex="(", owned=()),
                    consume("a", 1, topics=("t", "u"), regex="", owned=(0, 1)), consume("a", 9), consume("a", 1, assignor="none")]
    yield "static", [consume("a", 0, instance="i", owned=()), consume("a", -2, instance="i"), consume("b", 0, instance="i", owned=()),
                     consume("c", 0, instance="i", owned=()), consume("", 0, instance="j", owned=(), version=0), *describe]
    yield "mixed", [consume("a", 0, owned=()), join(3, "", group="k"), consume("a", -1), join(3, "", group="k"), consume("a", 0, owned=())]
    yield "silent", [consume("a", 0, owned=()), consume("b", 0, owned=()), *[offsets()] * 90, *describe]


# ------------------------------------------------------------------------------------------------ admin

def admin():
    entity = lambda kind, name: compact(kind) + compact(name) + TAGS
    alter = lambda key, value, remove=b"\0": flexible(49, 1, compact_array([compact_array([entity("client-id", "f")]) + compact_array(
        [compact(key) + struct.pack(">d", value) + remove + TAGS]) + TAGS]) + b"\0")
    seen = [flexible(48, 1, compact_array([compact("client-id") + match + compact(name) + TAGS]) + strict)
            for match, name, strict in ((b"\0", "f", b"\0"), (b"\1", None, b"\1"), (b"\2", None, b"\0"))]
    yield "quotas", [alter("producer_byte_rate", 10.0), *seen, alter("consumer_byte_rate", 1.5), alter("request_percentage", 0.01),
                     ask(16, 2, b""), alter("producer_byte_rate", 0.0, b"\1"), *seen, alter("nonsense", 1.0), ask(16, 2, b"")]
    place = struct.pack(">iii", 0, -1, 0)
    yield "epochs", [ask(23, 2, array([string("t") + array([place, struct.pack(">iii", 7, 0, 3)])])),
                     ask(23, 3, struct.pack(">i", -2) + array([string("t") + array([struct.pack(">iii", 1, 0, 0)]), string("no") + array([])])),
                     flexible(23, 4, struct.pack(">i", -1) + compact_array([compact("t") + compact_array([place + TAGS]) + TAGS]))]


def conversations():
    for family in (classic, consumers, admin):
        for name, frames in family():
            yield "%s_%s" % (family.__name__, name), stream(frames)
            yield "%s_%s_cut" % (family.__name__, name), stream(frames, FLUSH | SINGLE | 4 << 4)
            yield "%s_%s_slow" % (family.__name__, name), stream(frames, TIME | FLUSH | 6 << 4)
            yield "%s_%s_held" % (family.__name__, name), stream(frames, 8 << 4)
