"""Whoever ends tests/run.sh ends all that it started: nothing builds or tests on, and the next run finds no lock."""
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = os.path.abspath(sys.argv.pop(1))
TOOLS = {
    "cmake": """case $1 in --version) echo "cmake version 3.25.1"; exit ;; esac
while [ $# -gt 1 ]; do [ "$1" != -B ] || mkdir -p "$2"; shift; done""",
    "ninja": "exit 0",
    "dpkg-query": "echo 'ii '",
    "ctest": 'echo $$ >"$MARK.new"; mv "$MARK.new" "$MARK"; exec sleep 100',
}


def wait_for(condition, what, patience=60):
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("waited %d s for %s" % (patience, what))
        time.sleep(0.05)


def is_over(process):
    try:
        with open("/proc/%d/stat" % process, encoding="ascii") as file:
            return file.read().rsplit(") ", 1)[1][0] == "Z"
    except FileNotFoundError:
        return True


class Run(unittest.TestCase):
    def test_it_ends_with_its_shell_whatever_ends_that(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
            with self.subTest(number), tempfile.TemporaryDirectory(prefix="with spaces ") as folder:
                self.end_with(number, folder)

    def end_with(self, number, folder):
        os.makedirs(os.path.join(folder, "tests", "interop"))
        for name in ("run.sh", "need.sh"):
            shutil.copy(os.path.join(ROOT, "tests", name), os.path.join(folder, "tests", name))
        with open(os.path.join(folder, "tests", "interop", "fetch.sh"), "w", encoding="utf-8"):
            pass
        os.mkdir(os.path.join(folder, "bin"))
        for name, text in TOOLS.items():
            path = os.path.join(folder, "bin", name)
            with open(path, "w", encoding="utf-8") as file:
                file.write("#!/bin/sh\n%s\n" % text)
            os.chmod(path, stat.S_IRWXU)
        mark = os.path.join(folder, "mark")
        environment = dict(os.environ, PATH=os.path.join(folder, "bin") + os.pathsep + os.environ["PATH"],
                           LEAT_BUILD=os.path.join(folder, "build"), MARK=mark)
        with open(os.path.join(folder, "out"), "wb") as out:
            run = subprocess.Popen(["sh", os.path.join(folder, "tests", "run.sh")], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                   env=environment, start_new_session=True)
        self.addCleanup(run.kill)
        wait_for(lambda: os.path.exists(mark) or run.poll() is not None, "the tests to run")
        with open(os.path.join(folder, "out"), encoding="utf-8") as out:
            self.assertIsNone(run.poll(), out.read())
        with open(mark, encoding="ascii") as file:
            tests = int(file.read())
        run.send_signal(number)
        self.assertNotEqual(run.wait(60), 0)
        wait_for(lambda: is_over(tests), "the tests to end")
        lock = os.path.join(folder, "build", ".lock")
        wait_for(lambda: subprocess.run(["flock", "-n", lock, "true"], check=False).returncode == 0, "the lock to be free")

    def test_a_checkout_whose_path_holds_spaces_compiles(self):
        with tempfile.TemporaryDirectory(prefix="with spaces ") as folder:
            os.symlink(os.path.join(ROOT, "cmake"), os.path.join(folder, "cmake"))
            with open(os.path.join(folder, "CMakeLists.txt"), "w", encoding="utf-8") as file:
                file.write("cmake_minimum_required(VERSION 3.25)\nproject(spaces LANGUAGES CXX)\nadd_library(one STATIC one.cpp)\n")
            with open(os.path.join(folder, "one.cpp"), "w", encoding="utf-8") as file:
                file.write("int one() { return 1; }\n")
            build = os.path.join(folder, "build")
            for command in (["cmake", "-G", "Ninja", "-C", os.path.join(folder, "cmake", "presets", "release.cmake"), "-S", folder, "-B", build],
                            ["cmake", "--build", build]):
                done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
