"""What leatd costs when nothing happens: file size, memory, processor time; alone, with many connections, with
many waiting consumers. Prints every figure; fails over budget."""
import os
import resource
import shutil
import socket
import subprocess
import time
import unittest

from harness import LEATD, SANITIZED, Case, api_versions, connect, fetch, kcat_consume, kcat_produce, na, request, wait_for

STRIPPED_MAX = 3 * 1024 * 1024
RSS_IDLE_MAX_KIB = 8 * 1024
RSS_LOADED_MAX_KIB = 10 * 1024
RSS_BULK_MAX_KIB = 12 * 1024  # straight after 20 MB: with the large buffers that are kept for the next batches
CONNECTION_MAX_KIB = 4.0
CONNECTIONS = 10_000
POLLERS = 1_000
CPU_MAX = 0.01
SECONDS = 3.0


class Idle(Case):
    def test_the_stripped_file_is_small(self):
        stripped = os.path.join(self.folder, "leatd")
        shutil.copy(LEATD, stripped)
        subprocess.run(["strip", stripped], check=True)
        size = os.path.getsize(stripped)
        print("stripped: %d bytes (at most %d)" % (size, STRIPPED_MAX))
        if not SANITIZED:
            self.assertLessEqual(size, STRIPPED_MAX)

    def cpu_share(self, leatd):
        begin, used = time.monotonic(), leatd.cpu_seconds()
        time.sleep(SECONDS)
        return (leatd.cpu_seconds() - used) / (time.monotonic() - begin)

    def test_memory_and_processor_at_rest(self):
        leatd = self.leatd("--http", "127.0.0.1:0").start()
        api_versions(leatd.port)
        rss = leatd.rss_kib()
        print("RSS idle: %d KiB (at most %d)" % (rss, RSS_IDLE_MAX_KIB))
        if not SANITIZED:
            self.assertLessEqual(rss, RSS_IDLE_MAX_KIB)
        share = self.cpu_share(leatd)
        print("CPU idle: %.2f %%" % (share * 100))
        self.assertLess(share, CPU_MAX)

    def test_memory_loaded(self):
        leatd = self.leatd("--http", "off").start()
        clients = [connect(leatd.port) for _ in range(100)]
        for i, client in enumerate(clients):
            self.addCleanup(client.close)
        for i in range(0, 100, 10):  # kcat makes the topics as it asks for them
            for topic in range(i, i + 10):
                kcat_produce(leatd.port, "t%d" % topic, ["x" * 200] * 100)
        loaded = leatd.rss_kib()
        kcat_produce(leatd.port, "bulk", ["%d" % i * 40 for i in range(100_000)])
        kcat_consume(leatd.port, "bulk")
        bulk = leatd.rss_kib()
        print("RSS loaded (100 connections, 100 partitions): %d KiB (at most %d); after 20 MB more through: %d KiB (at most %d)" %
              (loaded, RSS_LOADED_MAX_KIB, bulk, RSS_BULK_MAX_KIB))
        if not SANITIZED:
            self.assertLessEqual(loaded, RSS_LOADED_MAX_KIB)
            self.assertLessEqual(bulk, RSS_BULK_MAX_KIB)
            wait_for(lambda: leatd.rss_kib() <= RSS_LOADED_MAX_KIB - 1024, "the large buffers to go back to the system")

    def test_a_thousand_waiting_consumers(self):
        leatd = self.leatd("--http", "off").start()
        kcat_produce(leatd.port, "t", ["a"])
        clients = [connect(leatd.port) for _ in range(POLLERS)]
        for client in clients:
            self.addCleanup(client.close)
            client.sendall(fetch("t", 1, 60_000))
        time.sleep(1)
        share = self.cpu_share(leatd)
        print("CPU with %d long polls: %.2f %%, RSS %d KiB" % (POLLERS, share * 100, leatd.rss_kib()))
        self.assertLess(share, CPU_MAX)
        for client in clients:  # all still wait: none was answered or closed
            client.setblocking(False)
            self.assertRaises(BlockingIOError, client.recv, 1)
        kcat_produce(leatd.port, "t", ["b"])
        for client in clients:  # and all are woken by one record
            client.settimeout(60)
            self.assertEqual(len(client.recv(4)), 4)

    def test_ten_thousand_connections_at_rest(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard < CONNECTIONS + 100:
            return na("%d connections: the hard limit of open files is %d" % (CONNECTIONS, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        leatd = self.leatd("--http", "off").start()
        api_versions(leatd.port)
        before = leatd.rss_kib()
        clients = []
        for i in range(CONNECTIONS):
            clients.append(connect(leatd.port))
            self.addCleanup(clients[-1].close)
        ask = request(18, 0, 1)
        for client in clients:  # each has been served once, so none is fresh
            client.sendall(ask)
        for client in clients:
            self.assertEqual(len(client.recv(65536, socket.MSG_PEEK)) > 4, True)
        each = (leatd.rss_kib() - before) / CONNECTIONS
        print("each of %d connections: %.2f KiB (at most %.1f)" % (CONNECTIONS, each, CONNECTION_MAX_KIB))
        if not SANITIZED:
            self.assertLessEqual(each, CONNECTION_MAX_KIB)
        share = self.cpu_share(leatd)
        print("CPU with %d idle connections: %.2f %%" % (CONNECTIONS, share * 100))
        self.assertLess(share, CPU_MAX)


if __name__ == "__main__":
    unittest.main()
