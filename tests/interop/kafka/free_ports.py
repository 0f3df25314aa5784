"""Prints N TCP ports that are free on the loopback now: `free_ports.py N`.

They lie below the kernel's ephemeral range, so that a server which is killed and started again on
its port does not find that some client's outgoing connection was given the number meanwhile.
"""
import random
import socket
import sys

FIRST, LAST = 15000, 31999


def free_ports(count):
    held = []
    for port in random.SystemRandom().sample(range(FIRST, LAST + 1), 500):
        probe = socket.socket()
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            probe.close()
            continue
        held.append(probe)
        if len(held) == count:
            break
    ports = [probe.getsockname()[1] for probe in held]
    for probe in held:
        probe.close()
    if len(ports) < count:
        raise SystemExit("free_ports.py: no free TCP ports between %d and %d" % (FIRST, LAST))
    return ports


if __name__ == "__main__":
    print(*free_ports(int(sys.argv[1]) if len(sys.argv) > 1 else 1))
