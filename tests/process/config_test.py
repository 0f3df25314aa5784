"""Flags and configuration, from the outside: what is printed, where, and the exit code."""
import os
import subprocess
import unittest

from harness import LEATD, Case


def run(*arguments, **options):
    done = subprocess.run([LEATD] + list(arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30, **options)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


class Config(Case):
    def file(self, content):
        path = os.path.join(self.folder, "leat.json")
        with open(path, "w") as file:
            file.write(content)
        return path

    def test_version_and_help_go_to_stdout_with_0(self):
        code, out, err = run("--version")
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(out, r"^leatd \d+\.\d+\.\d+\n$")
        code, out, err = run("--help")
        self.assertEqual((code, err), (0, ""))
        self.assertIn("Exit codes", out)

    def test_a_typo_in_a_flag_leaves_with_2_and_the_flag_that_was_meant(self):
        code, out, err = run("--lisen", "127.0.0.1:0")
        self.assertEqual((code, out), (2, ""))
        self.assertIn("did you mean --listen?", err)

    def test_a_typo_in_the_file_names_line_key_and_what_was_meant_and_nothing_is_started(self):
        path = self.file('{\n  "data.dir": "here",\n  "num.partitons": 3,\n  "log.budget.bytes": "1G"\n}\n')
        for extra in ([], ["--check-config"]):
            code, out, err = run("--config", path, *extra, cwd=self.folder)
            self.assertEqual((code, out), (2, ""))
            self.assertEqual(err.splitlines(), [
                path + ':3: unknown key "num.partitons"; did you mean "num.partitions"?',
                path + ':4: "log.budget.bytes" is "1G"; expected a size from "1MiB" to "16TiB", e.g. "1GiB"'])
        self.assertEqual(os.listdir(self.folder), ["leat.json"])

    def test_check_config_says_ok_and_makes_nothing(self):
        path = self.file('{ "data.dir": "here", "routes": [ { "bootstrap.servers": "k:9092", "topics": ["*"] } ] }')
        self.assertEqual(run("--config", path, "--check-config", cwd=self.folder), (0, "ok\n", ""))
        self.assertEqual(os.listdir(self.folder), ["leat.json"])

    def test_a_file_that_is_not_there_or_no_json(self):
        code, _, err = run("--config", "/does/not/exist.json", "--check-config")
        self.assertEqual(code, 2)
        self.assertIn("No such file", err)
        code, _, err = run("--config", self.file('{\n"node.id": 1\n"x": 2}'), "--check-config")
        self.assertEqual(code, 2)
        self.assertIn("leat.json:3: this is not JSON", err)


if __name__ == "__main__":
    unittest.main()
