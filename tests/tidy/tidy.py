"""Holds the tree against the house's rules.

tidy.py ROOT [--build DIR]     arrows, words, dead files, scripts that do not parse; with --build also the symbols of the core libraries
tidy.py --selftest             plants one breach of each rule in a small tree and wants each to be found
"""
import argparse
import os
import subprocess
import sys

import arrows
import dead
import scripts
import symbols
import words

LINES_HINT = 400
COLUMNS_HINT = 100


class Tree:
    """The files of a checkout: what git tracks, or everything below ROOT where there is no git."""

    def __init__(self, root, files=None):
        self.root = root
        if files is None:
            files = self._tracked() or self._walk()
        self.files = {f for f in files if os.path.isfile(os.path.join(root, f))}
        self._texts = {}

    def _tracked(self):
        try:
            done = subprocess.run(["git", "-C", self.root, "ls-files", "-z"], capture_output=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return None
        return [os.fsdecode(f) for f in done.stdout.split(b"\0") if f]

    def _walk(self):
        for folder, folders, names in os.walk(self.root):
            folders[:] = [f for f in folders if not f.startswith(".git") and not f.startswith("build")]
            for name in names:
                yield os.path.relpath(os.path.join(folder, name), self.root)

    def text(self, path):
        if path not in self._texts:
            with open(os.path.join(self.root, path), encoding="utf-8", errors="replace") as file:
                self._texts[path] = file.read()
        return self._texts[path]

    def texts(self, endings):
        for path in sorted(self.files):
            if os.path.splitext(path)[1] in endings and not path.startswith(("tests/golden/vectors", "tests/fuzz/corpus/")):
                yield path, self.text(path)

    def sources(self):
        return self.texts((".cpp", ".hpp", ".h", ".c"))


def complaints(tree):
    for check in (arrows.check, words.check, dead.check, scripts.check):
        yield from check(tree)


def hints(tree):
    for path, text in tree.texts((".cpp", ".hpp", ".h", ".c", ".py", ".sh", ".cmake")):
        count = text.count("\n")
        if count > LINES_HINT:
            yield "%s has %d lines: is it one idea?" % (path, count)
    for path, text in tree.sources():
        wide = [n for n, line in enumerate(text.split("\n"), 1) if len(line) > COLUMNS_HINT]
        if wide:
            yield "%s:%d is wider than %d columns (%d such lines)" % (path, wide[0], COLUMNS_HINT, len(wide))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", nargs="?")
    parser.add_argument("--build")
    parser.add_argument("--selftest", action="store_true")
    options = parser.parse_args()
    if options.selftest:
        import selftest
        return selftest.run(Tree, complaints)
    tree = Tree(os.path.abspath(options.root))
    if len(tree.files) < 10:
        print("tidy: only %d files below %s: nothing was looked at" % (len(tree.files), tree.root))
        return 1
    found = list(complaints(tree))
    if options.build:
        found += list(symbols.check(options.build, tree))
    for hint in hints(tree):
        print("hint:", hint)
    for path, line, text in sorted(set(found)):
        print("%s:%d: %s" % (path, line, text))
    print("tidy: %d files, %d complaints" % (len(tree.files), len(set(found))))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
