"""What the lm3s811evb image costs in flash, RAM and stack, room by room, against budgets.txt.

usage: footprint.py IMAGE BUDGETS [STACK_BYTES_USED]

Flash is what lies in flash (code, constants, initial values), RAM all of .data, .bss and the reserved stack. A
room's share is counted by instruction: each belongs to the innermost inlined function that stands in a room,
so headers of the standard library count where they are used.
"""
import collections
import re
import subprocess
import sys


def run(*command, text=None):
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


def sections(image):
    found = {}
    for line in run("arm-none-eabi-size", "-A", image).splitlines():
        parts = line.split()
        if len(parts) == 3 and parts[0].startswith("."):
            found[parts[0]] = int(parts[1])
    return found


def rooms(image):
    sizes = {}
    for line in run("arm-none-eabi-objdump", "-d", image).splitlines():
        match = re.match(r"\s+([0-9a-f]+):\t((?:[0-9a-f]{4} ?)+)", line)
        if match:
            sizes[int(match[1], 16)] = len(match[2].replace(" ", "")) // 2
    frames = run("arm-none-eabi-addr2line", "-a", "-i", "-e", image, text="\n".join(hex(a) for a in sizes))
    shares = collections.Counter()
    address, room = None, None

    def close():
        if address is not None:
            shares[room or "other"] += sizes[address]

    for line in frames.splitlines():
        if re.fullmatch(r"0x[0-9a-f]+", line):
            close()
            address, room = int(line, 16), None
        elif room is None:
            match = re.search(r"(sdk/(?:base|wire|client|device|include)|firmware-examples)/", line)
            room = match[1] if match else None
    close()
    return shares


def main():
    image, budgets = sys.argv[1], sys.argv[2]
    parts = sections(image)
    shares = rooms(image)
    flash = parts.get(".text", 0) + parts.get(".ARM.exidx", 0) + parts.get(".data", 0)
    measured = {
        "image_flash": flash,
        "image_ram": parts.get(".data", 0) + parts.get(".bss", 0) + parts.get(".stack", 0),
        "producer_flash": sum(size for room, size in shares.items() if room.startswith("sdk/")),
    }
    if len(sys.argv) > 3:
        measured["stack_used"] = int(sys.argv[3])
    for room, size in shares.most_common():
        print(f"  {room:20} {size:6} B of code")
    failed = False
    for line in open(budgets):
        if not line.strip() or line.startswith("#"):
            continue
        name, budget, aim = line.split()
        if name not in measured:
            continue
        verdict = "ok" if measured[name] <= int(budget) else "OVER BUDGET"
        failed |= verdict != "ok"
        print(f"{name:16} {measured[name]:6} B  budget {budget:>6}  aim {aim:>6}  {verdict}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
