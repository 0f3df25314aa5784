"""Words and constructs that have no place here, each with what to write instead."""
import re

SOURCE = (".cpp", ".hpp", ".h", ".c", ".s", ".S", ".ld")
SCRIPT = (".py", ".sh", ".cmake", ".txt", ".md", ".json", ".yml")
CORE = ("sdk/base/", "sdk/wire/", "sdk/client/", "sdk/device/")
SANS_IO = ("sdk/base/", "sdk/wire/", "sdk/client/", "sdk/cluster/", "broker/session/", "broker/topics/", "broker/api/",
           "broker/log/", "broker/uplink/", "broker/node/")

# Written so that this file does not contain what it looks for.
MACHINE_PATH = r"(?<![\w.])/(?:wo" + r"rk|fa" + r"rm)/"
REGISTRY = r"https?://[\w.-]*(?:debian|maven|npmjs|pypi|golang|crates)[\w.-]*\.(?:org|io|com)"
UNFINISHED = "TO" + "DO|FIX" + "ME|XX" + "X|HA" + "CK|not impl" + "emented"
PLATFORM = (r"^[ \t]*#[ \t]*(?:if|ifdef|ifndef|elif)\b.*"
            r"(__linux|__unix|__APPLE__|_WIN32|_POSIX|__arm|__ARM|__thumb|__x86_64|__i386|__aarch64|__riscv"
            r"|__STDC_HOSTED__|LEAT_HOST|LEAT_DEVICE|LEAT_PLATFORM|NDEBUG)")

# (name, where, file kinds, pattern, what to do). `where`: None is everywhere, else a tuple of path prefixes.
RULES = [
    ("unfinished", None, SOURCE + SCRIPT, r"\b(?:" + UNFINISHED + r")\b", "finish it, or file an issue and name it"),
    ("machine path", None, SOURCE + SCRIPT, MACHINE_PATH, "paths come from the caller or the build"),
    ("registry host", None, SOURCE + SCRIPT, REGISTRY, "package clients know their registries"),
    ("using namespace std", None, SOURCE, r"\busing namespace std\s*;", "write std::"),
    ("endl", None, SOURCE, r"\bstd::endl\b", r"write '\n'; a flush is a decision"),
    ("assert", ("sdk/", "broker/"), SOURCE, r"(?<![\w])assert\s*\(", "LEAT_CHECK stays on in release"),
    ("platform #if", CORE, SOURCE, PLATFORM, "what differs by platform is a file that the build chooses"),
    ("heap in the core", CORE, SOURCE,
     r"\bstd::(?:string|vector|function|map|unordered_map|set|deque|list|shared_ptr|unique_ptr|make_unique|make_shared)\b"
     r"|(?<![\w.])new\s+\w|\b(?:malloc|calloc|realloc)\s*\(",
     "the caller brings the memory: spans, views, sdk/base/bounded.hpp"),
    ("exceptions in the core", CORE, SOURCE, r"(?<![\w])(?:throw\b|try\s*\{|catch\s*\()", "Result<T>"),
    ("clock in a sans-IO room", SANS_IO, SOURCE, r"\b(?:steady|system|high_resolution)_clock::now\b|\bgettimeofday\b|\bclock_gettime\b",
     "`now` is an argument"),
    ("system in a sans-IO room", SANS_IO, SOURCE,
     r"#\s*include\s*<(?:thread|mutex|condition_variable|fstream|filesystem|iostream|unistd\.h|fcntl\.h|pthread\.h|sys/[^>]*|netinet/[^>]*|asio[^>]*)>",
     "effects live in host/ and net/, behind a port"),
    ("CMake globals", None, (".txt", ".cmake"), r"^\s*(?:include_directories|link_libraries|add_definitions|file\s*\(\s*GLOB)",
     "targets only, files by name"),
]
# Where a word may stand all the same: the file that defines the ban, and what a rule's text cannot see.
EXEMPT = {
    "CMake globals": ("firmware-examples/",),
}
FOLDERS = re.compile(r"(?:^|/)(?:utils?|common|misc|helpers?)/")
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.S)
STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"')


def blank(match):
    """Keeps the lines of what is cut out, so that line numbers stay right."""
    return "\n" * match.group(0).count("\n")


def code_only(text):
    return STRING.sub('""', COMMENT.sub(blank, text))


def check(tree):
    for path in sorted(tree.files):
        if FOLDERS.search(path):
            yield path, 1, "a folder is named for what it does, never utils, common, misc or helpers"
    for name, where, kinds, pattern, instead in RULES:
        rule = re.compile(pattern, re.M)
        in_code = where is not None or name in ("using namespace std", "endl")
        for path, text in tree.texts(kinds):
            if path.startswith("tests/tidy/") or (where and not path.startswith(where)):
                continue
            if any(path.startswith(prefix) for prefix in EXEMPT.get(name, ())):
                continue
            # Preprocessor lines keep their strings; comments never count against a construct.
            body = text if not in_code else COMMENT.sub(blank, text) if "#" in pattern[:12] else code_only(text)
            for match in rule.finditer(body):
                line = body.count("\n", 0, match.start()) + 1
                yield path, line, "%s (%s): %s" % (name, match.group(0).strip()[:60], instead)
    for path, text in tree.texts((".hpp", ".h")):
        if not re.search(r"^#pragma once$", text, re.M) and not re.search(r"^#ifndef \w+_H", text, re.M):
            yield path, 1, "a header starts with #pragma once"
