"""The lm3s811evb image in QEMU delivers to a live leatd over its UART, through kills of the broker.

usage: uart_test.py IMAGE LEATD [BUDGETS [KILLS]]

The board samples ten times a second and numbers the records that its producer took. Whatever happens to the
broker, the log must then hold 0, 1, 2, ... once each and in order, with nothing left out; samples that found no
room while the broker was away are counted by the board in the record after them.
"""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

TOPIC = "lm3s811"
HOST = "127.0.0.1"


def free_port():
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def wait_for(what, condition, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.05)
    raise SystemExit(f"FAIL: {what} did not happen within {seconds} s")


class Broker:
    def __init__(self, leatd, data, port):
        self.command = [leatd, "--data", data, "--listen", f"{HOST}:{port}", "--budget", "64MiB"]
        self.port = port
        self.log = open(os.path.join(os.path.dirname(data), "leatd.log"), "a")
        self.process = None

    def accepts(self):
        if self.process.poll() is not None:
            raise SystemExit(f"FAIL: leatd ended with {self.process.returncode}, see its log:\n"
                             + open(self.log.name).read()[-2000:])
        try:
            socket.create_connection((HOST, self.port), 0.2).close()
            return True
        except OSError:
            return False

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=self.log, stderr=self.log)
        wait_for("leatd listening", self.accepts, 10)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def kcat(port, *arguments, timeout=20):
    return subprocess.run(["kcat", "-b", f"{HOST}:{port}", "-q", *arguments], capture_output=True, text=True,
                          timeout=timeout)


def log_end(port):
    """The number of records: kcat -e never ends while the board keeps sending."""
    run = kcat(port, "-Q", "-t", f"{TOPIC}:0:-1")
    return int(run.stdout.rsplit(" ", 1)[1]) if run.returncode == 0 and run.stdout.strip() else 0


def read_all(port):
    run = kcat(port, "-C", "-t", TOPIC, "-p", "0", "-o", "beginning", "-e", "-f", "%k %o %s\n")
    records = []
    for line in run.stdout.splitlines():
        key, offset, text = line.split(" ", 2)
        records.append((key, int(offset), json.loads(text)))
    return records


def check(records, at_least):
    failures = []
    for place, (key, offset, record) in enumerate(records):
        if record["seq"] != place:
            failures.append(f"record {place} (offset {offset}) has sequence {record['seq']}")
            break
        if offset != place or key != "pump-7" or record["run"] != 1:
            failures.append(f"record {place} is not what the board sent: {key} {offset} {record}")
        if place > 0:
            before = records[place - 1][2]
            # The board's own account: a sample every 100 ms, taken or counted as skipped.
            samples = (record["ms"] - before["ms"]) / 100
            if abs(samples - 1 - record["skipped"]) > 1.5:
                failures.append(f"record {place}: {samples} samples after its predecessor, {record['skipped']} skipped")
    if len(records) < at_least:
        failures.append(f"only {len(records)} records, expected at least {at_least}")
    return failures


class Board:
    """The image in QEMU. The UART is a TCP stream that comes back by itself; the guest sees nothing of it."""

    def __init__(self, image, port, folder):
        self.monitor = os.path.join(folder, "monitor")
        self.dump = os.path.join(folder, "stack")
        self.image = image
        self.process = subprocess.Popen(
            ["qemu-system-arm", "-M", "lm3s811evb", "-display", "none",
             "-monitor", f"unix:{self.monitor},server=on,wait=off",
             "-chardev", f"socket,id=u,host={HOST},port={port},reconnect=1", "-serial", "chardev:u",
             "-kernel", image], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stack_used(self):
        """Bytes of the reserved stack that were ever written: RAM starts as zeros, the stack at its bottom."""
        symbols = subprocess.run(["arm-none-eabi-nm", self.image], capture_output=True, text=True).stdout
        top = int(next(line.split()[0] for line in symbols.splitlines() if line.endswith(" stack_top")), 16)
        size = top - 0x20000000
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.connect(self.monitor)
            monitor.sendall(f'pmemsave 0x20000000 {size} "{self.dump}"\n'.encode())
            wait_for("the stack's dump", lambda: os.path.exists(self.dump) and os.path.getsize(self.dump) == size, 5)
        stack = open(self.dump, "rb").read()
        return size - next((i for i, byte in enumerate(stack) if byte), size)

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def main():
    image, leatd = sys.argv[1], sys.argv[2]
    budget = None
    if len(sys.argv) > 3:
        lines = [line.split() for line in open(sys.argv[3]) if not line.startswith("#")]
        budget = next(int(line[1]) for line in lines if line and line[0] == "stack_used")
    kills = int(sys.argv[4]) if len(sys.argv) > 4 else 2
    folder = tempfile.mkdtemp(prefix="leat-uart-")
    port = free_port()
    broker = Broker(leatd, os.path.join(folder, "data"), port)
    board = None
    try:
        broker.start()
        kcat(port, "-L", "-t", TOPIC)  # creates the topic: the board itself asks for no metadata
        started = time.monotonic()
        board = Board(image, port, folder)
        wait_for("the first records", lambda: log_end(port) >= 10, 20)
        for turn in range(kills):
            before = log_end(port)
            broker.kill()
            time.sleep(1.5 + turn)
            broker.start()
            wait_for(f"records after kill {turn + 1}", lambda: log_end(port) >= before + 25, 30)
        stack = board.stack_used()
        board.stop()
        seconds = time.monotonic() - started
        records = read_all(port)
        failures = check(records, 10 + 25 * kills)
        if budget is not None and stack > budget:
            failures.append(f"{stack} B of stack used, the budget is {budget}")
        skipped = sum(record["skipped"] for _, _, record in records)
        print(f"{len(records)} records in {seconds:.1f} s through {kills} SIGKILLs, "
              f"{skipped} samples skipped and counted, {stack} B of stack, {len(failures)} failures")
        for failure in failures[:10]:
            print("FAIL:", failure)
        return 1 if failures else 0
    finally:
        if board:
            board.stop()
        if broker.process and broker.process.poll() is None:
            broker.kill()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
