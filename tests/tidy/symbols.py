"""What the core libraries ask of the system, by `nm`: no heap and no exceptions, in the host's build too."""
import os
import re
import subprocess

CORE = ("base", "wire", "client", "device")
BANNED = re.compile(r"^(operator (?:new|delete)\b.*|(?:malloc|calloc|realloc|free|strdup)$|__cxa_(?:throw|rethrow|begin_catch|"
                    r"allocate_exception|guard_acquire|pure_virtual_never).*|std::__throw_.*|_Znwm|_Znam)")


def core_libraries(build, tree):
    for room in CORE:
        lists = "sdk/%s/CMakeLists.txt" % room
        if lists not in tree.files:
            continue  # a room that no work has reached
        name = "libleat_%s.a" % room
        yield room, lists, [os.path.join(folder, name) for folder, _, files in os.walk(build) if name in files]


def check(build, tree):
    for room, lists, places in core_libraries(build, tree):
        if not places:
            yield lists, 1, "libleat_%s.a is not below %s: was the build complete?" % (room, build)
            continue
        listing = subprocess.run(["nm", "-C", places[0]], capture_output=True, text=True, check=True).stdout
        defined, member = 0, "?"
        for line in listing.splitlines():
            if line.endswith(":"):
                member = line[:-1]
                continue
            parts = re.match(r"^(?:[0-9a-f]+)? +([A-Za-z]) (.*)$", line)
            if not parts:
                continue
            kind, symbol = parts.groups()
            if kind == "U" and BANNED.match(symbol):
                yield lists, 1, "%s of libleat_%s.a needs %s: the core has no heap and throws nothing" % (member, room, symbol)
            defined += kind in "TtWwVv"
        if defined == 0:
            yield lists, 1, "libleat_%s.a defines nothing, so this check proves nothing" % room
