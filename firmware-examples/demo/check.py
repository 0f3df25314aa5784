"""Counts what is at the center, with kcat and no code of Leat's: missing, twice, out of order.

    check.py BOOTSTRAP ACKS_FILE RUN_ID     prints the counts as JSON

ACKS_FILE has a line for each acknowledged record: topic, key and sequence, separated by tabs. At the center a record's
value is JSON with the run's id (`run`) and the sequence (`seq`).
"""
import json
import subprocess
import sys


def load_acks(path):
    """[(topic, key, seq)] in the order in which they were acknowledged. A last line without its end is not counted."""
    with open(path, encoding="utf-8") as file:
        whole = file.read().split("\n")[:-1]
    acks = []
    for line in whole:
        topic, key, seq = line.split("\t")[:3]
        acks.append((topic, key, int(seq)))
    return acks


def read_topic(bootstrap, topic):
    """[(partition, offset, key, value)] of everything that the topic holds."""
    done = subprocess.run(["kcat", "-C", "-e", "-q", "-b", bootstrap, "-t", topic, "-o", "beginning",
                           "-f", "%p\t%o\t%k\t%s\n"], stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
    if done.returncode:
        raise SystemExit("kcat cannot read %s: %s" % (topic, done.stderr.decode(errors="replace")))
    records = []
    for line in done.stdout.decode().split("\n")[:-1]:
        partition, offset, key, value = line.split("\t", 3)
        records.append((int(partition), int(offset), key, value))
    return records


def check(bootstrap, acks_file, run_id):
    acks = load_acks(acks_file)
    acked = set(acks)
    arrived, last = {}, {}
    out_of_order = duplicates = bytes_arrived = 0
    for topic in sorted({topic for topic, _, _ in acks}):
        for _, _, key, value in read_topic(bootstrap, topic):
            fields = json.loads(value)
            if str(fields["run"]) != run_id:
                continue
            record = (topic, key, int(fields["seq"]))
            arrived[record] = arrived.get(record, 0) + 1
            if arrived[record] > 1:
                duplicates += 1
                continue
            bytes_arrived += len(key.encode()) + len(value.encode())
            if record[2] < last.get((topic, key), -1):
                out_of_order += 1
            last[topic, key] = max(record[2], last.get((topic, key), -1))
    missing = sorted(acked - set(arrived))
    return {"acked": len(acked), "acked_lines": len(acks), "upstream": len(arrived), "missing": len(missing),
            "first_missing": missing[:3], "duplicates": duplicates, "out_of_order": out_of_order,
            "payload_bytes": bytes_arrived}


if __name__ == "__main__":
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    print(json.dumps(check(*sys.argv[1:])))
