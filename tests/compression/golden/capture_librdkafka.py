"""Makes librdkafka_*.batch: what kcat (librdkafka) sends in a Produce request, per codec.

A broker of three answers on a free loopback port: ApiVersions, Metadata, Produce. Run: capture_librdkafka.py OUT
"""
import os, socket, struct, subprocess, sys, tempfile, threading

KEYS = [(0, 0, 7), (1, 0, 10), (2, 0, 1), (3, 0, 1), (10, 0, 0), (18, 0, 0)]  # enough for every codec


def string(text):
    return struct.pack(">h", len(text)) + text.encode()


def take(conn, count):
    data = b""
    while len(data) < count:
        part = conn.recv(count - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def serve(conn, port, caught):
    try:
        while True:
            frame = take(conn, struct.unpack(">i", take(conn, 4))[0])
            key, version, correlation, client = struct.unpack(">hhih", frame[:10])
            body = frame[10 + max(client, 0):]
            if key == 18:
                answer = struct.pack(">h", 35 if version > 0 else 0) + struct.pack(">i", len(KEYS))
                answer += b"".join(struct.pack(">hhh", *k) for k in KEYS)
            elif key == 3:
                answer = struct.pack(">ii", 1, 1) + string("127.0.0.1") + struct.pack(">ih", port, -1)
                answer += struct.pack(">iih", 1, 1, 0) + string("t") + b"\0"
                answer += struct.pack(">ihiiiiii", 1, 0, 0, 1, 1, 1, 1, 1)
            elif key == 0:
                at = 2 + 2 + 4 + 4 + 2 + 1 + 4 + 4  # null transactional id, acks, timeout, 1 topic "t", 1 partition
                size = struct.unpack(">i", body[at:at + 4])[0]
                caught.append(body[at + 4:at + 4 + size])
                answer = struct.pack(">i", 1) + string("t") + struct.pack(">iihqqqi", 1, 0, 0, 0, -1, 0, 0)
            conn.sendall(struct.pack(">ii", len(answer) + 4, correlation) + answer)
    except EOFError:
        pass


def main(out):
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    caught = []

    def accept():
        while True:
            conn, _ = listener.accept()
            threading.Thread(target=serve, args=(conn, port, caught), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    lines = "".join("sensor-%d:{\"seq\":%d,\"value\":%d}%s\n" % (i % 7, i, i * 7919 % 1000, "x" * (3000 if i % 40 == 0 else 0))
                    for i in range(300))
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(lines)
        file.flush()
        for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
            caught.clear()
            subprocess.run(["kcat", "-P", "-b", "127.0.0.1:%d" % port, "-t", "t", "-p", "0", "-K:", "-z", codec,
                            "-X", "linger.ms=500", "-X", "api.version.request=true", "-l", file.name], check=True, timeout=30)
            assert len(caught) == 1, (codec, len(caught))
            with open(os.path.join(out, "librdkafka_%s.batch" % codec), "wb") as target:
                target.write(caught[0])


main(sys.argv[1])
