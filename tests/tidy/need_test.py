"""The commands of the README stop in the first seconds where a tool is too old, and say which version it takes."""
import os
import stat
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = os.path.abspath(sys.argv.pop(1))
TESTS, DEMO = ("tests/run.sh",), ("firmware-examples/demo.sh",)


class Need(unittest.TestCase):
    def run_with(self, command, **tools):
        """Runs it where each of the tools says that it is that old. Whatever it makes is gone afterwards."""
        with tempfile.TemporaryDirectory() as folder:
            for name, says in tools.items():
                path = os.path.join(folder, name.replace("gxx", "g++"))
                with open(path, "w", encoding="utf-8") as file:
                    file.write("#!/bin/sh\ncat >&2 <<'END'\n%s\nEND\ncat <<'END'\n%s\nEND\n" % (says, says))
                os.chmod(path, stat.S_IRWXU)
            made = os.path.join(folder, "build")
            environment = {name: value for name, value in os.environ.items() if name != "CXX"}
            environment.update(PATH=folder + os.pathsep + os.environ["PATH"], LEAT_BUILD=made, LEAT_DEMO=made)
            begin = time.monotonic()
            done = subprocess.run(["sh", os.path.join(ROOT, command[0]), *command[1:]], stdin=subprocess.DEVNULL, capture_output=True,
                                  text=True, env=environment, cwd=folder, timeout=60)
            self.assertLess(time.monotonic() - begin, 20)
            self.assertFalse(os.path.exists(made), "something was begun")
            return done.returncode, done.stderr

    def refused(self, command, words, **tools):
        code, text = self.run_with(command, **tools)
        self.assertNotEqual(code, 0)
        for word in words:
            self.assertIn(word, text)

    def test_an_old_compiler(self):
        for command in (TESTS, DEMO):
            self.refused(command, ("g++ is version 10", "needs 12 or newer"), gxx="10.2.1")

    def test_an_old_cmake(self):
        for command in (TESTS, DEMO):
            self.refused(command, ("cmake is version 3.18.4", "needs 3.25 or newer"), cmake="cmake version 3.18.4")

    def test_an_old_python(self):
        for command in (TESTS, DEMO):
            self.refused(command, ("python3 is version 3.7.3", "needs 3.9 or newer"), python3="Python 3.7.3")

    def test_an_old_java_where_kafka_is_wanted(self):
        for command in (TESTS, DEMO + ("--kafka",)):
            self.refused(command, ("java is version 11.0.24", "needs 17 or newer"),
                         java='Picked up _JAVA_OPTIONS: -Xmx1g\nopenjdk version "11.0.24" 2024-07-16')


if __name__ == "__main__":
    unittest.main()
