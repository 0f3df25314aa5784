"""Each rule is shown a tree that breaks it once, and must complain about that file and nothing else."""
import os
import subprocess
import tempfile

import arrows
import symbols

CLEAN = {
    "CMakeLists.txt": "add_library(x STATIC sdk/wire/frame.cpp sdk/base/bytes.cpp broker/log/log.cpp)\n",
    "sdk/base/bytes.hpp": "#pragma once\n",
    "sdk/base/bytes.cpp": '#include "sdk/base/bytes.hpp"\n// new rooms may throw a party here: comments are free\n',
    "sdk/wire/frame.hpp": '#pragma once\n#include <cstdint>\n#include "sdk/base/bytes.hpp"\n',
    "sdk/wire/frame.cpp": '#include "sdk/wire/frame.hpp"\n',
    "broker/log/log.cpp": '#include "sdk/wire/frame.hpp"\n',
}
unfinished = "TO" + "DO"

BREACHES = [
    ("an include against an arrow", "sdk/base/bytes.cpp", '#include "sdk/base/bytes.hpp"\n#include "sdk/wire/frame.hpp"\n'),
    ("the SDK includes the broker", "sdk/wire/frame.cpp", '#include "sdk/wire/frame.hpp"\n#include "broker/log/log.cpp"\n'),
    ("an include that is nowhere", "sdk/wire/frame.cpp", '#include "sdk/wire/frame.hpp"\n#include "wire/gone.hpp"\n'),
    ("a file in no room", "sdk/attic/old.cpp", ""),
    ("a source in no target", "sdk/wire/lost.cpp", ""),
    ("a header that nobody includes", "sdk/wire/lost.hpp", "#pragma once\n"),
    ("a script that nobody names", "tests/tidy/lost.py", ""),
    ("a script that does not parse", "tests/run.sh", "if true; then\n"),
    ("a program that does not parse", "tests/tidy/tidy.py", "def f(:\n"),
    ("an unfinished word", "broker/log/log.cpp", "// %s later\n" % unfinished),
    ("a path of this machine", "broker/log/log.cpp", 'const char* data = "/wo' + 'rk/data";\n'),
    ("the heap in the core", "sdk/wire/frame.cpp", '#include "sdk/wire/frame.hpp"\nstd::vector<int> frames;\n'),
    ("a throw in the core", "sdk/wire/frame.cpp", '#include "sdk/wire/frame.hpp"\nvoid f() { throw 1; }\n'),
    ("a platform in the core", "sdk/wire/frame.cpp", '#include "sdk/wire/frame.hpp"\n#ifdef __linux__\n#endif\n'),
    ("a clock in a sans-IO room", "broker/log/log.cpp", "auto t = std::chrono::steady_clock::now();\n"),
    ("a thread in a sans-IO room", "broker/log/log.cpp", "#include <thread>\n"),
    ("a header without its guard", "sdk/base/bytes.hpp", "struct Bytes {};\n"),
    ("a folder named utils", "sdk/wire/utils/x.json", "{}\n"),
]


def tree_with(Tree, folder, files):
    for path, text in files.items():
        place = os.path.join(folder, path)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "w", encoding="utf-8") as file:
            file.write(text)
    return Tree(folder, list(files))


def check_symbols(Tree, failures):
    sources = {
        "sdk/wire/CMakeLists.txt": "",
        "heap.cpp": "int* f() { return new int(1); }\n",
        "throw.cpp": "void f() { throw 1; }\n",
        "fine.cpp": "int f() { return 1; }\n",
    }
    for source, bad in (("heap.cpp", True), ("throw.cpp", True), ("fine.cpp", False)):
        with tempfile.TemporaryDirectory() as folder:
            tree = tree_with(Tree, folder, sources)
            subprocess.run([os.environ.get("CXX", "c++"), "-c", source, "-o", "x.o"], cwd=folder, check=True)
            subprocess.run(["ar", "rc", "libleat_wire.a", "x.o"], cwd=folder, check=True)
            found = [c for c in symbols.check(folder, tree)]
            if bool(found) != bad:
                failures.append("symbols of %s: found %s" % (source, found))
    with tempfile.TemporaryDirectory() as folder:
        tree = tree_with(Tree, folder, sources)
        if not list(symbols.check(folder, tree)):
            failures.append("symbols: a missing library is not noticed")


def run(Tree, complaints):
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        found = list(complaints(tree_with(Tree, folder, CLEAN)))
        if found:
            failures.append("the clean tree is complained about: %s" % found)
    for name, path, text in BREACHES:
        with tempfile.TemporaryDirectory() as folder:
            found = list(complaints(tree_with(Tree, folder, {**CLEAN, path: text})))
            if not any(where == path for where, _, _ in found):
                failures.append("not found: %s (%s)" % (name, found))
    check_symbols(Tree, failures)
    arrows.closure()
    for failure in failures:
        print("selftest:", failure)
    print("selftest: %d breaches planted, %d failures" % (len(BREACHES) + 3, len(failures)))
    return 1 if failures else 0
