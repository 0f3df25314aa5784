"""matrix.txt and the results that the lanes leave: every `must` needs a result, and no result may be unlisted.

    matrix.py check RESULTS_DIR     prints the table; fails on a missing, failed or unlisted result
"""
import json
import os
import sys

STEPS = ["topic", "none", "gzip", "snappy", "lz4", "zstd", "idempotent", "read-back", "sigkill", "go-on", "group", "resume",
         "admin"]
OTHERS = ["reject", "block", "forgotten"]  # of the clients that have a line for them; `rest` leaves them out
HERE = os.path.dirname(os.path.abspath(__file__))


def load(path=os.path.join(HERE, "matrix.txt")):
    """{(client, step): "must" or the reason why not}"""
    table = {}
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            line = line.split("#", 1)[0].strip()
            if not line:
                continue
            words = line.split(None, 2)
            if len(words) != 3 or not (words[2] == "must" or words[2].startswith("n/a: ")):
                raise SystemExit("matrix.txt:%d: expected `client steps must` or `client steps n/a: reason`" % number)
            client, word, want = words
            steps = [s for s in STEPS if (client, s) not in table] if word == "rest" else word.split(",")
            for step in steps:
                if step not in STEPS + OTHERS or (client, step) in table:
                    raise SystemExit("matrix.txt:%d: %s %s is no step or stands twice" % (number, client, step))
                table[client, step] = want
    for client in {c for c, _ in table}:
        for step in STEPS:
            if (client, step) not in table:
                raise SystemExit("matrix.txt: %s has no line for the step %s" % (client, step))
    return table


def check(results_dir):
    table, results = load(), {}
    for name in sorted(os.listdir(results_dir)) if os.path.isdir(results_dir) else []:
        if name.endswith(".json"):
            with open(os.path.join(results_dir, name), encoding="utf-8") as file:
                for client, step, text in json.load(file):
                    results[client, step] = text
    problems = []
    for (client, step), want in table.items():
        have = results.get((client, step))
        if want == "must" and have is None:
            problems.append("%s %s: no result" % (client, step))
        elif want == "must" and have != "ok":
            problems.append("%s %s: %s" % (client, step, have))
        elif want != "must" and have is not None:
            problems.append("%s %s: has a result (%s), but matrix.txt says %s" % (client, step, have, want))
    for client, step in results:
        if (client, step) not in table:
            problems.append("%s %s: is not in matrix.txt" % (client, step))
    clients = list(dict.fromkeys(c for c, _ in table))
    width = max(map(len, clients))
    print(" " * width, " ".join("%10s" % s for s in STEPS + OTHERS))
    for client in clients:
        cells = ["" if (client, s) not in table else "n/a" if table[client, s] != "must" else "ok" if results.get((client, s)) == "ok"
                 else "missing" if (client, s) not in results else "FAILED"
                 for s in STEPS + OTHERS]
        print(client.ljust(width), " ".join("%10s" % c for c in cells))
    for problem in problems:
        print("!!", problem)
    musts = sum(want == "must" for want in table.values())
    print("%d of %d must-results ok" % (sum(results.get(k) == "ok" for k, w in table.items() if w == "must"), musts))
    return 1 if problems else 0


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] != "check":
        raise SystemExit(__doc__)
    sys.exit(check(sys.argv[2]))
