"""The gateway's flash: as root an ext4 of its own on a loop device, whose power can really be cut; else a plain folder."""
import fcntl
import os
import shutil
import struct
import subprocess

EXT4_IOC_SHUTDOWN = 0x8004587D
NOLOGFLUSH = 2  # as if the power went: what was not synced is gone, the journal is not written out
SIZE_MIB = 400


def sh(*words):
    return subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


class LoopFlash:
    power_cut_kind = "ioctl"

    def __init__(self, folder):
        self.image = os.path.join(folder, "gateway-flash.img")
        self.mountpoint = os.path.join(folder, "gateway-flash")
        self.device = None

    def set_up(self):
        """True if this machine lets us make it."""
        self.tear_down()
        os.makedirs(self.mountpoint, exist_ok=True)
        with open(self.image, "wb") as file:
            file.truncate(SIZE_MIB << 20)
        if sh("mkfs.ext4", "-q", "-F", self.image).returncode:
            return False
        attached = sh("losetup", "-f", "--show", self.image)
        if attached.returncode:
            return False
        self.device = attached.stdout.strip()
        if sh("mount", "-t", "ext4", self.device, self.mountpoint).returncode:
            self.tear_down()
            return False
        return True

    @property
    def data(self):
        return os.path.join(self.mountpoint, "leatd")

    def cut_power(self):
        """From here on nothing reaches the device. The process that used it has to be killed before `power_on`."""
        folder = os.open(self.mountpoint, os.O_RDONLY)
        try:
            fcntl.ioctl(folder, EXT4_IOC_SHUTDOWN, struct.pack("I", NOLOGFLUSH))
        finally:
            os.close(folder)

    def power_on(self):
        for words in (("umount", self.mountpoint), ("mount", "-t", "ext4", self.device, self.mountpoint)):
            done = sh(*words)
            if done.returncode:
                raise SystemExit("%s failed: %s" % (" ".join(words), done.stderr.strip()))

    def tear_down(self):
        """Also of what an earlier run left that could not clean up."""
        if os.path.ismount(self.mountpoint):
            if sh("umount", self.mountpoint).returncode:
                sh("umount", "-l", self.mountpoint)
        for line in sh("losetup", "-j", self.image).stdout.splitlines():
            sh("losetup", "-d", line.split(":", 1)[0])
        if os.path.exists(self.image):
            os.remove(self.image)
        if os.path.isdir(self.mountpoint) and not os.path.ismount(self.mountpoint):
            os.rmdir(self.mountpoint)


class PlainFlash:
    power_cut_kind = "sigkill"

    def __init__(self, folder):
        self.folder = os.path.join(folder, "gateway-data")

    def set_up(self):
        self.tear_down()
        os.makedirs(self.folder)
        return True

    @property
    def data(self):
        return os.path.join(self.folder, "leatd")

    def cut_power(self):
        pass  # the SIGKILL that follows is all there is

    def power_on(self):
        pass

    def tear_down(self):
        shutil.rmtree(self.folder, ignore_errors=True)


def make_flash(folder):
    """The best that this machine allows, set up."""
    if os.geteuid() == 0:
        flash = LoopFlash(folder)
        if flash.set_up():
            return flash
        flash.tear_down()
    flash = PlainFlash(folder)
    flash.set_up()
    return flash
