"""Scripts at least parse: a slip in a script that runs rarely is found now, not on the day it is needed."""
import os
import subprocess


def check(tree):
    for path, text in tree.texts((".py",)):
        try:
            compile(text, path, "exec")
        except SyntaxError as error:
            yield path, error.lineno or 1, "does not parse: %s" % error.msg
    for path, text in tree.texts((".sh",)):
        shell = "bash" if text.startswith("#!") and "bash" in text.split("\n", 1)[0] else "sh"
        done = subprocess.run([shell, "-n", os.path.join(tree.root, path)], capture_output=True, text=True)
        if done.returncode:
            yield path, 1, "does not parse: %s" % done.stderr.strip()
