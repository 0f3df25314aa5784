#!/usr/bin/env python3
"""Seeds for the codec fuzzers out of the golden vectors.   seeds.py VECTORS OUT

Fills OUT/requests, OUT/responses and OUT/session with a few messages of every API and version, as Kafka encodes them,
framed as the fuzz entries expect, and OUT/session with the conversations of streams.py. A fuzzer that starts from one message per structure gets behind the headers within seconds;
from an empty start it took days to meet a float field.
"""
import pathlib
import struct
import sys
import zlib

import streams

PER_VERSION = 2
BYTES_MAX = 600


def vectors(path):
    """(direction, version, message) of one key's file; see ../golden/vectors.cpp for its layout."""
    raw = zlib.decompress(path.read_bytes()[4:])
    at = 0
    while at < len(raw):
        direction, version, length = struct.unpack_from(">bhi", raw, at)
        at += 7
        yield direction, version, raw[at:at + length]
        at += length


def framed(direction, key, version, message):
    """With an empty tag section behind the header and without: one of the two is this version's."""
    if direction == 0:
        header = struct.pack(">hhi", key, version, 7) + struct.pack(">h", 1) + b"f"
    else:
        header = struct.pack(">hhi", key, version, 7)
    return header + message, header + b"\0" + message


def main(folder, out):
    for name in ("requests", "responses", "session"):
        (out / name).mkdir(parents=True, exist_ok=True)
    for path in sorted(folder.glob("*.z")):
        if not path.stem.isdigit():
            continue
        kept = {}
        for direction, version, message in vectors(path):
            known = kept.setdefault((direction, version), [])
            if len(message) <= BYTES_MAX:
                known.append(message)
        for (direction, version), messages in kept.items():
            # The longest that fit hold the most structure.
            for number, message in enumerate(sorted(messages, key=len)[-PER_VERSION:]):
                for tags, seed in enumerate(framed(direction, int(path.stem), version, message)):
                    name = f"{path.stem}_v{version}_{number}{'t' * tags}"
                    (out / ("responses" if direction else "requests") / name).write_bytes(seed)
                    if direction == 0 and number == 0:
                        (out / "session" / name).write_bytes(streams.stream([seed]))
    for name, seed in streams.conversations():
        (out / "session" / name).write_bytes(seed)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
