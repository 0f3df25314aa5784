"""Which room may include which: the house's arrows, and the check of every #include against them.

A room may include itself and whatever its arrows reach, directly or through other rooms. The lists are one-way by
construction: `closure` refuses a table with a cycle.
"""
import re

# Where each room lies. The longest prefix wins.
PLACES = {
    "sdk/include/leat/port/": "port",
    "sdk/include/leat/check.hpp": "port",
    "sdk/include/leat/result.hpp": "port",
    "sdk/include/leat/profile.hpp": "port",
    "sdk/include/leat/time.hpp": "port",
    "sdk/include/leat/record.hpp": "words",
    "sdk/include/leat/config.hpp": "device door",
    "sdk/include/leat/device.hpp": "device door",
    "sdk/include/leat/leat.h": "device door",
    "sdk/include/leat/": "front doors",
    "sdk/base/": "base",
    "sdk/wire/": "wire",
    "sdk/compression/": "compression",
    "sdk/client/": "client",
    "sdk/cluster/": "cluster",
    "sdk/host/": "host",
    "sdk/device/": "device",
    "sdk/cli/": "cli",
    "broker/config/": "config",
    "broker/log/": "log",
    "broker/topics/": "topics",
    "broker/groups/": "groups",
    "broker/quotas/": "quotas",
    "broker/api/": "api",
    "broker/session/": "session",
    "broker/uplink/": "uplink",
    "broker/node/": "node",
    "broker/net/": "net",
    "broker/ops/": "ops",
    "broker/": "main",
    "firmware-examples/": "examples",
    "tests/": "tests",
}

ARROWS = {
    "port": [],
    "words": ["wire"],
    "base": ["port"],
    "wire": ["base"],
    "compression": ["base"],
    "client": ["wire", "words"],
    "device door": ["client"],
    "front doors": ["cluster"],
    "cluster": ["client", "compression"],
    "device": ["device door"],
    "host": ["front doors", "compression"],
    "cli": ["host"],
    "config": ["base"],
    "log": ["wire"],
    "topics": ["log", "compression", "config"],
    # A session calls whoever handles its requests through an interface of its own, and api completes the session's
    # replies: so api knows session, not the other way round.
    "session": ["wire"],
    "groups": ["topics"],
    "quotas": ["log"],
    "api": ["groups", "quotas", "session"],
    "uplink": ["topics", "cluster"],
    "node": ["api", "uplink"],
    "net": ["session", "node", "host"],
    "ops": ["net"],
    "main": ["ops"],
    "examples": ["host", "device"],
    "tests": None,  # may look at everything
}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.M)


def room_of(path):
    best = max((p for p in PLACES if path.startswith(p)), key=len, default=None)
    return PLACES[best] if best else None


def closure():
    reach = {}

    def visit(room, trail):
        if room in trail:
            raise SystemExit("arrows.py: the table has a cycle: " + " -> ".join(trail + [room]))
        if room not in reach:
            found = {room}
            for to in ARROWS[room]:
                found |= visit(to, trail + [room])
            reach[room] = found
        return reach[room]

    for room in ARROWS:
        if ARROWS[room] is not None:
            visit(room, [])
    return reach


def resolve(path, name, files):
    """The file of this tree that an include names, or None when it is the system's."""
    here = path.rsplit("/", 1)[0]
    for candidate in (name, "sdk/include/" + name, here + "/" + name):
        if candidate in files or candidate + ".in" in files:  # the build fills in a .in
            return candidate
    return None


def check(tree):
    """Yields (path, line, text) for every include against an arrow."""
    reach = closure()
    for path, text in tree.sources():
        room = room_of(path)
        if room is None:
            yield path, 1, "lies in no room that tests/tidy/arrows.py knows: add its place and its arrows"
            continue
        if ARROWS[room] is None:
            continue
        for match in INCLUDE.finditer(text):
            target = resolve(path, match.group(2), tree.files)
            line = text.count("\n", 0, match.start()) + 1
            if target is None:
                if match.group(1) == '"':
                    yield path, line, 'includes "%s", which is not in the tree; other people\'s headers take <>' % match.group(2)
                continue
            other = room_of(target)
            if other not in reach[room]:
                yield path, line, "%s may not include %s (%s): turn the arrow, or move the code" % (room, other, target)
