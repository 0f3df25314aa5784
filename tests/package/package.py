"""Builds the outside project in one of its two ways, runs it against leatd, and reads its record back with kcat.

    package.py find|subdirectory --build DIR --source DIR --work DIR --leatd PROGRAM
"""
import argparse
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "interop"))
import brokers  # noqa: E402


def sh(*words):
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise SystemExit("%s\nfailed:\n%s" % (" ".join(words), "\n".join(done.stdout.splitlines()[-40:])))
    return done.stdout


def setting(build, name):
    """A cache entry of the build that is tested."""
    with open(os.path.join(build, "CMakeCache.txt"), encoding="utf-8") as file:
        found = re.search(r"^%s:[A-Z]+=(.*)$" % name, file.read(), re.M)
    return found.group(1) if found else ""


def readme_program(source):
    with open(os.path.join(source, "README.md"), encoding="utf-8") as file:
        found = re.search(r"```cpp\n(.*?)```", file.read(), re.S)
    return found.group(1) if found else None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("way", choices=["find", "subdirectory"])
    for name in ("--build", "--source", "--work", "--leatd"):
        parser.add_argument(name, required=True)
    options = parser.parse_args()
    with open(os.path.join(HERE, "outside", "main.cpp"), encoding="utf-8") as file:
        if file.read() != readme_program(options.source):
            raise SystemExit("the program in README.md is not tests/package/outside/main.cpp")
    work = os.path.join(os.path.abspath(options.work), options.way)
    shutil.rmtree(work, ignore_errors=True)
    configure = ["cmake", "-G", "Ninja", "-S", os.path.join(HERE, "outside"), "-B", os.path.join(work, "build"), "-DCMAKE_BUILD_TYPE=None"]
    for name in ("CMAKE_CXX_COMPILER", "CMAKE_CXX_COMPILER_LAUNCHER"):
        configure.append("-D%s=%s" % (name, setting(options.build, name)))
    if options.way == "find":
        sh("cmake", "--install", options.build, "--prefix", os.path.join(work, "prefix"))
        configure.append("-DCMAKE_PREFIX_PATH=" + os.path.join(work, "prefix"))
    else:
        configure += ["-DLEAT_SOURCE=" + options.source, "-DCMAKE_CXX_FLAGS=-O0"]  # a stranger's flags, and quick to build
    sh(*configure)
    sh("ninja", "-C", os.path.join(work, "build"), "-j", "2", "outside", "core")
    sh(os.path.join(work, "build", "core"))
    broker = brokers.Leatd(options.leatd, os.path.join(work, "leatd")).start()
    try:
        sh(os.path.join(work, "build", "outside"), broker.bootstrap)
        read = sh("kcat", "-C", "-e", "-q", "-b", broker.bootstrap, "-t", "temperature", "-f", "%k=%s\n")
    finally:
        broker.stop()
    if read != "boiler=81.5\n":
        raise SystemExit("kcat read %r" % read)
    shutil.rmtree(work)
    print("%s: built, sent, read back" % options.way)


if __name__ == "__main__":
    main()
