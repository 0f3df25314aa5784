"""leatd on a file system of its own (loop-mounted ext4): power cuts, a disk that fills up, warnings. Needs root."""
import ctypes
import fcntl
import os
import subprocess
import threading
import time
import unittest

from harness import PATIENCE, Case, kcat_consume, kcat_produce, na, wait_for

SHUTDOWN_IOCTL, NO_LOG_FLUSH = 0x8004587D, b"\x02\x00\x00\x00"
IMAGE_BYTES = 160 << 20
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 0x40000


def own_mounts():
    """Mounts of this process and its children only. In the common namespace a process that unshares meanwhile (a container
    or chroot that starts) takes a copy of our mount along: umount then leaves the file system alive there, and the next
    mount of the image gets that very one, shut down as it is."""
    libc = ctypes.CDLL(None)
    if libc.unshare(CLONE_NEWNS) == 0:  # else mount is not allowed either, and attach() says so
        assert libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None) == 0


class Device(Case):
    @classmethod
    def setUpClass(cls):
        if os.geteuid() == 0:
            own_mounts()

    def disk(self, *features):
        """A fresh ext4 on a loop device; None (and a line) where this machine cannot."""
        self.image, self.mount = os.path.join(self.folder, "image"), os.path.join(self.folder, "mount")
        os.mkdir(self.mount)
        with open(self.image, "wb") as image:
            image.truncate(IMAGE_BYTES)
        if os.geteuid() != 0:
            return na("a file system of one's own: needs root")
        made = subprocess.run(["mkfs.ext4", "-q", "-F"] + list(features) + [self.image], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(made.returncode, 0, made.stdout.decode())
        return self.attach()

    def attach(self, options="loop"):
        done = subprocess.run(["mount", "-t", "ext4", "-o", options, self.image, self.mount], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            return na("a file system of one's own: mount says " + done.stdout.decode().strip())
        self.addCleanup(subprocess.run, ["umount", "-l", self.mount], stderr=subprocess.DEVNULL)
        return self.mount

    def detach(self):
        wait_for(lambda: subprocess.run(["umount", self.mount], stderr=subprocess.DEVNULL).returncode == 0, "umount")

    def cut_power(self, leatd):
        """What was not flushed is gone: the file system is shut down as it is, the process killed, all mounted again."""
        folder = os.open(self.mount, os.O_RDONLY)
        fcntl.ioctl(folder, SHUTDOWN_IOCTL, NO_LOG_FLUSH)
        os.close(folder)
        leatd.kill()
        self.detach()
        self.assertTrue(self.attach())

    def on_disk(self, *flags, **options):
        leatd = self.leatd("--http", "off", *flags, **options)
        leatd.data = os.path.join(self.mount, "data")
        return leatd.start()

    def test_power_cuts_take_nothing_that_was_acknowledged(self):
        if not self.disk():
            return
        leatd = self.on_disk()
        wanted = []
        for life in range(6):
            lines = ["life %d line %d" % (life, i) for i in range(300)]
            kcat_produce(leatd.port, "t", lines)
            wanted += lines
            self.cut_power(leatd)
            leatd.start()
            self.assertEqual(kcat_consume(leatd.port, "t"), wanted)
        leatd.kill()
        self.detach()

    def test_a_power_cut_under_load_a_producer_goes_on_nothing_missing_nothing_twice(self):
        if not self.disk():
            return
        leatd = self.on_disk()
        kcat_produce(leatd.port, "other", ["warm"])
        command = ["kcat", "-b", "127.0.0.1:%d" % leatd.port, "-t", "t", "-p", "0", "-P", "-E", "-X", "acks=all", "-X", "enable.idempotence=true",
                   "-X", "linger.ms=2", "-X", "reconnect.backoff.max.ms=200", "-X", "retry.backoff.ms=50"]
        producer = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(producer.kill)
        lines = ["%06d" % i for i in range(4000)]

        def feed():
            for i, line in enumerate(lines):
                producer.stdin.write((line + "\n").encode())
                if i % 40 == 39:
                    producer.stdin.flush()
                    time.sleep(0.02)
            producer.stdin.close()

        feeder = threading.Thread(target=feed)
        feeder.start()
        for _ in range(3):
            time.sleep(0.4)
            self.cut_power(leatd)
            leatd.start()
        feeder.join(PATIENCE)
        self.assertEqual(producer.wait(PATIENCE), 0)
        self.assertEqual(kcat_consume(leatd.port, "t"), lines)
        self.assertEqual(leatd.stop(), 0)
        self.detach()

    def test_a_disk_that_fills_up_later_stops_no_commit(self):
        if not self.disk():
            return
        leatd = self.on_disk()
        kcat_produce(leatd.port, "t", ["before"])
        filler = subprocess.run(["dd", "if=/dev/zero", "of=" + os.path.join(self.mount, "filler"), "bs=1M"], stderr=subprocess.PIPE)
        self.assertIn(b"No space left", filler.stderr)
        lines = ["%d" % i * 100 for i in range(5000)]
        kcat_produce(leatd.port, "t", lines)
        self.cut_power(leatd)
        leatd.start()  # also a start needs no space
        self.assertEqual(kcat_consume(leatd.port, "t"), ["before"] + lines)
        self.assertEqual(leatd.stop(), 0)
        self.detach()

    def test_a_copy_with_holes_gets_its_space_back_and_a_disk_without_room_for_it_is_said(self):
        if not self.disk():
            return
        leatd = self.on_disk()
        kcat_produce(leatd.port, "t", ["kept"])
        self.assertEqual(leatd.stop(), 0)
        log, copy = os.path.join(leatd.data, "leat.log"), os.path.join(self.folder, "copy")
        subprocess.run(["cp", "--sparse=always", log, copy], check=True)  # as a backup does
        subprocess.run(["cp", "--sparse=always", copy, log], check=True)
        for name, size in (("other", "1M"), ("rest", "1k")):
            subprocess.run(["dd", "if=/dev/zero", "of=%s/%s" % (self.mount, name), "bs=" + size], stderr=subprocess.DEVNULL)
        leatd.spawn()
        self.assertEqual(leatd.process.wait(PATIENCE), 1)  # room may come: whoever restarts it goes on trying
        self.assertRegex(leatd.log(), "copy with holes.*No space left.*free some space")
        self.assertRegex(leatd.log(), "writing .* failed: No space left on device; free some space")
        os.remove(self.mount + "/other")
        leatd.start()
        self.assertGreaterEqual(os.stat(log).st_blocks * 512, 64 << 20)
        self.assertEqual(kcat_consume(leatd.port, "t"), ["kept"])

    def test_what_is_wrong_with_the_file_system_is_said_at_the_start(self):
        for features, options, words in ((["-O", "fast_commit"], "loop", "fast_commit"), (["-O", "^has_journal"], "loop", "no journal"),
                                         ([], "loop,barrier=0", "barrier=0"), ([], "loop", None)):
            with self.subTest(words=words):
                if not hasattr(self, "mount"):
                    if not self.disk(*features):
                        return
                    self.detach()
                subprocess.run(["mkfs.ext4", "-q", "-F"] + features + [self.image], check=True)
                self.assertTrue(self.attach(options))
                leatd = self.on_disk()
                warnings = [line for line in leatd.log().splitlines() if " warn " in line]
                self.assertEqual(len(warnings), 1 if words else 0, leatd.log())
                self.assertIn(words or "", "".join(warnings))
                self.assertNotIn("fdatasync", leatd.log())
                self.assertEqual(leatd.stop(), 0)
                self.detach()


if __name__ == "__main__":
    unittest.main()
