"""M1: what was acknowledged is there after SIGKILL. And the broker stays up, whatever it is sent."""
import json
import os
import random
import re
import shutil
import socket
import struct
import subprocess
import threading
import time
import unittest
import urllib.error

from harness import PATIENCE, Case, answer, api_versions, connect, kcat_consume, kcat_produce, na, request, text, wait_for


class Kill(Case):
    def test_m1_produced_killed_consumed(self):
        leatd = self.leatd("--http", "off").start()
        wanted = []
        for life in range(5):
            lines = ["life %d line %d" % (life, i) for i in range(200)]
            kcat_produce(leatd.port, "m1", lines)  # returns when all are acknowledged
            wanted += lines
            leatd.kill()
            leatd.start()
            self.assertEqual(kcat_consume(leatd.port, "m1"), wanted)
        self.assertEqual(leatd.stop(), 0)
        leatd.start()
        self.assertEqual(kcat_consume(leatd.port, "m1"), wanted)

    def test_m1_a_producer_goes_on_through_kills_nothing_missing_nothing_twice(self):
        leatd = self.leatd("--http", "off").start()
        command = ["kcat", "-b", "127.0.0.1:%d" % leatd.port, "-t", "through", "-p", "0", "-P", "-E", "-X", "acks=all",
                   "-X", "enable.idempotence=true", "-X", "linger.ms=5", "-X", "reconnect.backoff.max.ms=200", "-X", "retry.backoff.ms=50"]
        producer = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(producer.kill)
        lines = ["%06d" % i for i in range(3000)]

        def feed():
            for i, line in enumerate(lines):
                producer.stdin.write((line + "\n").encode())
                if i % 50 == 49:
                    producer.stdin.flush()
                    time.sleep(0.02)
            producer.stdin.close()

        feeder = threading.Thread(target=feed)
        feeder.start()
        for pause in (0.3, 0.5, 0.4):
            time.sleep(pause)
            leatd.kill()
            leatd.start()
        feeder.join(PATIENCE)
        self.assertEqual(producer.wait(PATIENCE), 0)
        self.assertEqual(kcat_consume(leatd.port, "through"), lines)

    def test_killed_again_and_again_while_starting(self):
        leatd = self.leatd("--http", "off").start()
        kcat_produce(leatd.port, "t", ["kept"])
        leatd.kill()
        for delay in range(12):
            leatd.spawn()
            time.sleep(delay * 0.002)
            leatd.kill()
        leatd.start()
        self.assertEqual(kcat_consume(leatd.port, "t"), ["kept"])


class Gone(Case):
    def test_a_log_deleted_under_it_acknowledges_nothing_more_says_so_and_comes_back_whole_from_what_it_names(self):
        leatd = self.leatd().start()
        kcat_produce(leatd.port, "t", ["before"])
        shutil.rmtree(leatd.data)
        lost = subprocess.run(["kcat", "-b", "127.0.0.1:%d" % leatd.port, "-t", "t", "-p", "0", "-P", "-X", "acks=all", "-X", "message.timeout.ms=3000"],
                              input=b"refused\n", stderr=subprocess.PIPE, timeout=PATIENCE)
        self.assertNotEqual(lost.returncode, 0)
        self.assertEqual(kcat_consume(leatd.port, "t"), ["before"])
        with self.assertRaises(urllib.error.HTTPError) as health:
            leatd.get("/healthz")
        self.assertEqual(health.exception.code, 503)
        there = re.search(r"deleted or replaced.* as (/proc/%d/fd/\d+)" % leatd.process.pid, leatd.log())
        self.assertTrue(there, leatd.log())
        os.mkdir(leatd.data)
        shutil.copyfile(there.group(1), os.path.join(leatd.data, "leat.log"))
        self.assertEqual(leatd.stop(), 0)
        leatd.start()
        kcat_produce(leatd.port, "t", ["after"])
        self.assertEqual(kcat_consume(leatd.port, "t"), ["before", "after"])


class BadBytes(Case):
    def closed(self, client):
        """Waits for the broker to hang up."""
        client.settimeout(PATIENCE)
        try:
            while client.recv(65536):
                pass
        except ConnectionResetError:
            pass

    def test_the_broker_stays_up_whatever_it_is_sent(self):
        leatd = self.leatd("--http", "off").start()
        kcat_produce(leatd.port, "t", ["before"])
        rng = random.Random(7)
        with self.subTest("a 2 GB length, a negative one, one above the limit: hung up on"):
            for length in (0x7FFFFFFF, -1, -0x80000000, 9 * 1024 * 1024):
                with connect(leatd.port) as client:
                    client.sendall(struct.pack(">i", length) + b"x" * 100)
                    self.closed(client)
        with self.subTest("random bytes"):
            for i in range(200):
                with connect(leatd.port) as client:
                    try:
                        client.sendall(rng.randbytes(rng.randrange(1, 400)))
                    except (BrokenPipeError, ConnectionResetError):
                        pass
        with self.subTest("well-framed random bytes, behind a right header of every API"):
            for key in list(range(0, 70)) + [-1, 32767]:
                for version in (0, 3, 9, 12, 32767):
                    with connect(leatd.port) as client:
                        try:
                            client.sendall(request(key, version, 1, rng.randbytes(rng.randrange(0, 200))))
                        except (BrokenPipeError, ConnectionResetError):
                            pass
        with self.subTest("frames cut anywhere, the client leaves"):
            whole = request(3, 1, 5, struct.pack(">i", 1) + struct.pack(">h", 1) + b"t")
            for cut in range(len(whole)):
                with connect(leatd.port) as client:
                    client.sendall(whole[:cut])
        with self.subTest("an empty frame and a header cut short are hung up on"):
            for frame in (struct.pack(">i", 0), struct.pack(">i", 3) + b"\0\x12\0"):
                with connect(leatd.port) as client:
                    client.sendall(frame)
                    self.closed(client)
        with self.subTest("an unknown version of ApiVersions is answered with what is known"):
            with connect(leatd.port) as client:
                client.sendall(request(18, 99, 9))
                self.assertEqual(struct.unpack(">ih", answer(client)[:6]), (9, 35))
        with self.subTest("still up, and nothing is lost"):
            self.assertTrue(leatd.alive(), leatd.log())
            self.assertGreater(api_versions(leatd.port), 5)
            kcat_produce(leatd.port, "t", ["after"])
            self.assertEqual(kcat_consume(leatd.port, "t"), ["before", "after"])
            self.assertEqual(leatd.stop(), 0)

    def test_a_frame_byte_by_byte_is_answered(self):
        leatd = self.leatd("--http", "off").start()
        with connect(leatd.port) as client:
            for byte in request(18, 0, 3):
                client.sendall(bytes([byte]))
            self.assertEqual(struct.unpack(">ih", answer(client)[:6]), (3, 0))

    def test_a_hundred_pipelined_requests_are_answered_in_order(self):
        leatd = self.leatd("--http", "off").start()
        with connect(leatd.port) as client:
            client.sendall(b"".join(request(18, 0, i) for i in range(100)))
            for i in range(100):
                self.assertEqual(struct.unpack(">i", answer(client)[:4]), (i,))


class Upstream(Case):
    def route(self, port, extra=""):
        path = os.path.join(self.folder, "route.json")
        with open(path, "w") as file:
            file.write('{"routes": [{"name": "center", "bootstrap.servers": "127.0.0.1:%d", "topics": ["*"], %s'
                       ' "retry.backoff.ms": "10ms", "retry.backoff.max.ms": "100ms"}]}' % (port, extra))
        return path

    def uplinked(self, leatd, topic):
        for each in leatd.status()["topics"]:
            if each["name"] == topic:
                return each["partitions"][0]["uplinked_offset"]
        return -1

    def test_records_arrive_at_the_center_through_kills_of_either(self):
        center = self.leatd("--http", "off").start()
        gateway = self.leatd("--http", "127.0.0.1:0", "--config", self.route(center.port, '"create.topics": true,')).start()
        wanted = []
        for life in range(4):
            lines = ["life %d line %d" % (life, i) for i in range(400)]
            if life == 1:
                center.kill()  # nobody there while these are produced
            kcat_produce(gateway.port, "up", lines)
            wanted += lines
            if life == 1:
                center.start()
            if life == 2:
                gateway.kill()
                gateway.start()
            if life == 3:
                center.kill()
                center.start()
                gateway.kill()
                gateway.start()
            wait_for(lambda: self.uplinked(gateway, "up") == len(wanted), "everything upstream")
        first_arrivals = list(dict.fromkeys(kcat_consume(center.port, "up")))
        self.assertEqual(first_arrivals, wanted)
        self.assertEqual(gateway.stop(), 0, gateway.log())
        self.assertEqual(center.stop(), 0)

    def test_what_is_kept_until_it_is_uplinked_goes_then_and_never_before(self):
        center = self.leatd("--http", "off").start()
        gateway = self.leatd("--http", "127.0.0.1:0", "--config", self.route(center.port, '"create.topics": true,'), budget="8MiB").start()
        for topic, settings in (("go", {"leat.retention.uplinked": "true"}), ("stay", {})):
            config = struct.pack(">i", len(settings)) + b"".join(text(k) + text(v) for k, v in settings.items())
            with connect(gateway.port) as client:
                client.sendall(request(19, 2, 3, struct.pack(">i", 1) + text(topic) + struct.pack(">ihi", 1, 1, 0) + config + struct.pack(">i?", 20_000, False)))
                self.assertEqual(struct.unpack(">h", answer(client)[14 + len(topic):][:2]), (0,))
        center.kill()  # the link is down while these are produced
        lines = ["line %d %s" % (i, "v" * 900) for i in range(600)]
        for topic in ("go", "stay"):
            kcat_produce(gateway.port, topic, lines, "batch.num.messages=8")
        gateway.kill()
        gateway.start()
        time.sleep(3)
        self.assertEqual(self.log_start(gateway, "go"), 0)
        center.start()
        for topic in ("go", "stay"):
            wait_for(lambda: self.uplinked(gateway, topic) == len(lines), "everything upstream")
        wait_for(lambda: self.log_start(gateway, "go") > 300, "room for what is delivered")
        self.assertEqual(self.log_start(gateway, "stay"), 0)
        self.assertEqual(kcat_consume(center.port, "go"), lines)
        self.assertEqual(kcat_consume(gateway.port, "stay"), lines)
        self.assertEqual(kcat_consume(gateway.port, "go"), lines[self.log_start(gateway, "go"):])
        self.assertEqual(gateway.stop(), 0, gateway.log())
        self.assertEqual(center.stop(), 0)

    def log_start(self, leatd, topic):
        return next(t["partitions"][0]["log_start"] for t in leatd.status()["topics"] if t["name"] == topic)

    def tame(self, leatd):
        """Trying again and again costs little."""
        used, begin = leatd.cpu_seconds(), time.monotonic()
        time.sleep(2)
        share = (leatd.cpu_seconds() - used) / (time.monotonic() - begin)
        print("CPU with this upstream: %.1f %%" % (share * 100))
        self.assertLess(share, 0.1)

    def works(self, leatd):
        kcat_produce(leatd.port, "t", ["a", "b"])
        self.assertEqual(kcat_consume(leatd.port, "t"), ["a", "b"])
        wait_for(lambda: "center" in leatd.log(), "a line about the upstream")
        self.tame(leatd)
        leatd.kill()
        leatd.start()
        self.assertEqual(kcat_consume(leatd.port, "t"), ["a", "b"])
        self.assertEqual(leatd.stop(), 0, leatd.log())

    def test_a_dead_upstream_takes_nothing_from_local_clients(self):
        with socket.socket() as nobody:  # bound and not listening: refused
            nobody.bind(("127.0.0.1", 0))
            leatd = self.leatd("--http", "off", "--config", self.route(nobody.getsockname()[1])).start()
            self.works(leatd)

    def test_an_upstream_that_speaks_something_else(self):
        with socket.socket() as wrong:
            wrong.bind(("127.0.0.1", 0))
            wrong.listen()
            stopping = []

            def serve():
                while not stopping:
                    try:
                        client, _ = wrong.accept()
                        client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 50)
                        client.close()
                    except OSError:
                        pass

            server = threading.Thread(target=serve, daemon=True)
            server.start()
            leatd = self.leatd("--http", "off", "--config", self.route(wrong.getsockname()[1])).start()
            self.works(leatd)
            stopping.append(True)
            wrong.shutdown(socket.SHUT_RDWR)

    def test_an_upstream_that_takes_the_connection_and_says_nothing(self):
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            path = self.route(silent.getsockname()[1], '"request.timeout.ms": "1s",')
            self.works(self.leatd("--http", "off", "--config", path).start())

    def behind_names(self, address, routes):
        """A name server at `address` that so far says nothing, and a leatd whose only one it is; None where that cannot be."""
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(server.close)
        try:
            server.bind((address, 53))
        except OSError as error:
            return na("a silent name server: cannot bind port 53 (%s)" % error)
        resolv, config = os.path.join(self.folder, "resolv.conf"), os.path.join(self.folder, "route.json")
        with open(resolv, "w") as file:
            file.write("nameserver %s\n" % address)
        with open(config, "w") as file:
            json.dump({"routes": [{"name": "r%d" % i, "bootstrap.servers": "r%d.example:9092" % i, "topics": ["*"]} for i in range(routes)]}, file)
        leatd = self.leatd("--http", "off", "--config", config)
        leatd.wrap = ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"', resolv]
        try:
            leatd.start()
        except AssertionError:
            return na("a silent name server: " + leatd.log().strip())
        return server, leatd

    def test_a_name_server_that_never_answers_holds_up_neither_clients_nor_the_stop(self):
        both = self.behind_names("127.0.0.77", 1)
        if both is None:
            return
        silent, leatd = both
        silent.settimeout(20)
        kcat_produce(leatd.port, "t", ["a"])
        self.assertTrue(silent.recv(512))  # it is being asked
        self.assertEqual(kcat_consume(leatd.port, "t"), ["a"])
        begin = time.monotonic()
        self.assertEqual(leatd.stop(), 0, leatd.log())
        self.assertLess(time.monotonic() - begin, 3)
        self.assertTrue(leatd.log().endswith("stopped\n"), leatd.log())

    def test_while_no_name_server_answers_only_so_many_look_ups_wait(self):
        both = self.behind_names("127.0.0.78", 40)
        if both is None:
            return
        server, leatd = both
        server.settimeout(2)
        kcat_produce(leatd.port, "t", ["a"])
        time.sleep(1)  # all routes have asked by now, and the first look-up waits for its answer
        names, end = set(), time.monotonic() + 3
        while time.monotonic() < end:
            try:
                query, asker = server.recvfrom(512)
            except socket.timeout:
                break
            length = query[12]
            names.add(query[13:13 + length].decode())
            server.sendto(query[:2] + b"\x81\x83" + query[4:6] + b"\0\0\0\0\0\0" + query[12:query.index(b"\0", 12) + 5], asker)
        self.assertGreater(len(names), 0)
        self.assertLessEqual(len(names), 16)
        self.assertEqual(leatd.stop(), 0, leatd.log())


class Clock(Case):
    def test_a_clock_at_1970_that_jumps_expires_nothing_and_refuses_nothing(self):
        leatd = self.leatd("--http", "off", env={"LEAT_TEST_WALL": "1000,1500,1790000000000"})
        leatd.start()
        self.assertTrue(leatd.log().startswith("1970-01-01"), leatd.log())
        kcat_produce(leatd.port, "t", ["early"])  # kcat stamps with today's time: far in the future, from 1970
        wait_for(lambda: api_versions(leatd.port) and time.sleep(1.6) is None, "the jump")
        kcat_produce(leatd.port, "t", ["late"])
        self.assertEqual(kcat_consume(leatd.port, "t"), ["early", "late"])
        leatd.kill()
        leatd.env = {"LEAT_TEST_WALL": "1000"}  # and back in 1970 at the next boot
        leatd.start()
        kcat_produce(leatd.port, "t", ["again"])
        self.assertEqual(kcat_consume(leatd.port, "t"), ["early", "late", "again"])
        leatd.kill()
        leatd.env = {}
        leatd.start()
        self.assertEqual(kcat_consume(leatd.port, "t"), ["early", "late", "again"])


if __name__ == "__main__":
    unittest.main()
