"""Runs the programs of sdk/README.md against a leatd: what one says must be what the README promises of it."""
import argparse
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "interop"))
import brokers  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--leatd", required=True)
    parser.add_argument("--programs", required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        broker = brokers.Leatd(options.leatd, os.path.join(work, "leatd")).start()

        def run(name, *words, feed=""):
            done = subprocess.run([os.path.join(options.programs, "tour_" + name), broker.bootstrap, *words], input=feed,
                                  capture_output=True, text=True, timeout=60)
            if done.returncode:
                raise SystemExit("%s: exit code %d\n%s%s" % (name, done.returncode, done.stdout, done.stderr))
            return done.stdout.splitlines(), done.stderr.splitlines()

        def want(what, have, wanted):
            if have != wanted:
                raise SystemExit("%s said %r and not %r" % (what, have, wanted))

        try:
            lines = ["line %d" % i for i in range(100)]
            want("admin", run("admin"), (["leader 0", "lag 0"], []))
            run("produce", feed="\n".join(lines) + "\n")
            want("consume", run("consume")[0], ["%d %s" % pair for pair in enumerate(lines)])
            want("admin", run("admin")[0], ["leader 0", "lag 100"])
            want("group", run("group", "100")[0], lines)
            out, err = run("admin")
            want("admin", out, ["leader 0", "lag 0"])
            if not err or not err[0].startswith("TOPIC_ALREADY_EXISTS"):
                raise SystemExit("the second admin did not tell that the topic is there: %r" % err)
        finally:
            broker.stop()


if __name__ == "__main__":
    sys.exit(main())
