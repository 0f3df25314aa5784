"""Many plain connections to a broker: idle ones, and consumers that wait at the end of a partition.

    sockets.py idle BOOTSTRAP COUNT SECONDS               each has asked ApiVersions once, then is silent
    sockets.py poll BOOTSTRAP COUNT SECONDS TOPIC OFFSET  each has a Fetch open that waits up to half a second, which is
                                                          what librdkafka and Java ask for unless told otherwise

Prints `ready` once all stand, then holds them.
"""
import resource
import selectors
import socket
import struct
import sys
import time

FETCH_WAIT_MS = 500


def string(text):
    return struct.pack(">h", len(text)) + text.encode()


def request(api_key, version, body):
    frame = struct.pack(">hhi", api_key, version, 1) + string("sockets") + body
    return struct.pack(">i", len(frame)) + frame


def fetch(topic, offset):
    """Fetch version 4: the last layout without sessions, epochs or tagged fields."""
    return request(1, 4, struct.pack(">iiiib", -1, FETCH_WAIT_MS, 1, 1 << 20, 0) + struct.pack(">i", 1) + string(topic) +
                   struct.pack(">i", 1) + struct.pack(">iqi", 0, offset, 1 << 20))


def connect_all(address, count, greeting):
    held = []
    for _ in range(count):
        one = socket.create_connection(address, timeout=20)
        one.sendall(greeting)
        held.append(one)
    for one in held:
        size = struct.unpack(">i", read_exactly(one, 4))[0]
        read_exactly(one, size)
    return held


def read_exactly(one, size):
    data = b""
    while len(data) < size:
        piece = one.recv(size - len(data))
        if not piece:
            raise SystemExit("sockets.py: the broker closed a connection")
        data += piece
    return data


def main():
    verb, bootstrap, count, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    host, port = bootstrap.rsplit(":", 1)
    held = connect_all((host, int(port)), count, request(18, 0, b""))
    ask = fetch(sys.argv[5], int(sys.argv[6])) if verb == "poll" else b""
    selector = selectors.DefaultSelector()
    for one in held:
        if ask:
            time.sleep(FETCH_WAIT_MS / 1e3 / len(held))  # consumers do not wait in step
        one.sendall(ask)
        one.setblocking(False)
        selector.register(one, selectors.EVENT_READ)
    print("ready", flush=True)
    end, pending = time.monotonic() + seconds, {}
    while time.monotonic() < end:
        for key, _ in selector.select(timeout=0.2):
            data = key.fileobj.recv(65536)
            if not data:
                raise SystemExit("sockets.py: the broker closed a connection that was in order")
            have = pending.get(key.fd, b"") + data
            while len(have) >= 4 and len(have) >= 4 + struct.unpack(">i", have[:4])[0]:
                have = have[4 + struct.unpack(">i", have[:4])[0]:]
                if ask:
                    key.fileobj.sendall(ask)
            pending[key.fd] = have
    print("held", len(held), flush=True)


if __name__ == "__main__":
    main()
