"""Runs a fuzzer so that it does the same wherever it runs: the same inputs, and so many units.

   run.py FUZZER FINDS RUNS SECONDS_MAX CORPUS...

FINDS is a folder for what it finds, made anew. SECONDS_MAX ends it early on a machine that is too slow, without a failure.
The environment's LEAT_FUZZ_TRACE=1 prints what libFuzzer says of each new unit.
"""
import ctypes
import os
import shutil
import sys

no_randomized_addresses = 0x0040000  # ADDR_NO_RANDOMIZE of personality(2)


def main():
    fuzzer, finds, runs, seconds_max, *corpora = sys.argv[1:]
    shutil.rmtree(finds, ignore_errors=True)
    os.makedirs(finds)
    # libFuzzer takes the files of a folder in the file system's order, and comparisons of pointers as hints: neither is the
    # same elsewhere.
    inputs = sorted((os.path.basename(folder), name, os.path.join(folder, name))
                    for folder in corpora for name in os.listdir(folder))
    listed = finds.rstrip("/") + ".inputs"
    with open(listed, "w") as out:
        out.write(",".join(path for _, _, path in inputs))
    ctypes.CDLL(None).personality(no_randomized_addresses)  # where it is forbidden it changes nothing
    trace = os.environ.get("LEAT_FUZZ_TRACE") == "1"
    os.execv(fuzzer, [fuzzer, "-seed=1", "-runs=" + runs, "-max_total_time=" + seconds_max, "-seed_inputs=@" + listed, "-reload=0",
                      "-timeout=120", "-report_slow_units=3600", "-rss_limit_mb=2048", "-print_final_stats=1", "-verbosity=" + ("1" if trace else "0"),
                      "-artifact_prefix=" + finds + "/", finds])


main()
