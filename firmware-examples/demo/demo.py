"""The main job on real input: a device program, a gateway that loses its power, a center that is away for a while.

Started by demo.sh, which installs and builds what this needs.
"""
import argparse
import json
import os
import signal
import sys
import threading
import time
import uuid

import check
from flash import make_flash
from programs import Arrivals, Device, Kafka, Leatd, tail

# Seconds from the start of the device program.
CENTER_AWAY = 9
POWER_CUT = 15
CENTER_BACK = 19
DEVICE_ENDS = 26
ARRIVE_SECONDS_MAX = 60
PRODUCED_MIN, ACKED_WHILE_DOWN_MIN = 5000, 500
# What result.json holds: these and nothing else.
FIGURES = ("produced", "acked", "acked_while_link_down", "flash_only_at_cut", "upstream", "missing", "duplicates",
           "out_of_order", "gateway_rss_kib", "payload_bytes", "log_bytes_written", "power_cut")


class Display:
    """One line that changes on a terminal; a line every two seconds in a file."""

    def __init__(self):
        self.live = sys.stdout.isatty()
        self.printed = 0.0

    def show(self, now, device, arrivals, link):
        acked = device.stats.get("acked", device.acked_lines())
        produced = device.stats.get("produced", acked)
        line = "%5.1f s   produced %6d   acked %6d   buffered %6d   at the center %6d   link %s" % (
            now, produced, acked, max(0, acked - arrivals.count), arrivals.count, link)
        if self.live:
            print("\r\x1b[K" + line, end="", flush=True)
        elif now - self.printed >= 2:
            print(line, flush=True)
            self.printed = now

    def say(self, text):
        print(("\r\x1b[K" if self.live else "") + text, flush=True)


class Demo:
    def __init__(self, options):
        self.options = options
        self.folder = os.path.abspath(options.folder)
        os.makedirs(self.folder, exist_ok=True)
        self.run_id = uuid.uuid4().hex[:12]
        self.display = Display()
        self.parts = []  # what has to be ended, newest last
        self.marks = {}

    def set_up(self):
        for name in os.listdir(self.folder):
            if name.endswith((".log", ".tsv", ".json")):
                os.remove(os.path.join(self.folder, name))
        self.flash = make_flash(self.folder)
        if self.options.kafka:
            self.center = Kafka(self.folder, self.options.jars)
        else:
            center_data = os.path.join(self.folder, "center-data")
            sweep(center_data)
            self.center = Leatd(self.options.leatd, "center", center_data, self.folder)
        self.display.say("starting the center (%s)" % ("Apache Kafka 4.3.1" if self.options.kafka else "leatd"))
        self.parts.append(self.center)
        self.center.start()
        config = os.path.join(self.folder, "gateway.json")
        with open(config, "w", encoding="utf-8") as file:
            json.dump(gateway_config(self.center.bootstrap), file, indent=2)
        self.gateway = Leatd(self.options.leatd, "gateway", self.flash.data, self.folder, config)
        self.parts.append(self.gateway)
        self.gateway.start()
        self.display.say("gateway %s, data on %s; center %s" % (
            self.gateway.bootstrap, "a loop-mounted ext4" if self.flash.power_cut_kind == "ioctl" else self.flash.data,
            self.center.bootstrap))
        self.device = Device(self.options.agent, self.folder, self.gateway.bootstrap, DEVICE_ENDS, self.run_id)
        self.parts.append(self.device)
        self.arrivals = Arrivals(self.center)

    def cut_power(self):
        self.marks["acked_at_cut"] = self.device.acked_lines()
        self.flash.cut_power()
        self.gateway.kill()
        self.flash.power_on()
        self.gateway.again()

    def play(self):
        """The timeline. What was acknowledged while the center was away is what the marks in the ack file enclose."""
        events = [(CENTER_AWAY, "the center goes away", self.take_center_away),
                  (POWER_CUT, "the gateway's power is cut (%s)" % self.flash.power_cut_kind, self.cut_power),
                  (CENTER_BACK, "the center comes back", self.bring_center_back)]
        start, stuck = time.monotonic(), DEVICE_ENDS + 90
        while self.device.process.poll() is None:
            now = time.monotonic() - start
            if events and now >= events[0][0]:
                _, text, action = events.pop(0)
                self.display.say("%5.1f s   %s" % (now, text))
                action()
            link = "up" if self.center_is_there else "down"
            for part in (self.gateway, self.device, self.center):
                part.sample()
            self.display.show(now, self.device, self.arrivals, link)
            if now > stuck:
                raise SystemExit("linux-agent does not come to its end; the end of its log:\n" + tail(self.device.log))
            time.sleep(0.1)
        if self.device.process.returncode:
            raise SystemExit("linux-agent ended with exit code %d; the end of its log:\n%s" % (
                self.device.process.returncode, tail(self.device.log)))
        self.device.reader.join(5)
        if self.options.kafka:
            self.returning.join()
        if not self.center_is_there:
            raise SystemExit("the center did not come back; its log is in %s" % self.folder)
        self.device_end = time.monotonic() - start

    center_is_there = True

    def take_center_away(self):
        # Counted after the kill, and after acknowledgements that were on their way then have come: what is acknowledged
        # later cannot be at the center before it is back.
        self.center.kill()
        self.center_is_there = False
        time.sleep(0.2)
        self.marks["acked_at_center_away"] = self.device.acked_lines()

    def bring_center_back(self):
        """Kafka takes some seconds: in a thread of its own, so that the display goes on. Not so leatd, which is told to die
        with its parent, and that is a thread for the kernel."""
        self.marks["acked_at_center_back"] = self.device.acked_lines()
        self.returning = threading.Thread(target=self._center_again, daemon=True)
        if self.options.kafka:
            self.returning.start()
        else:
            self._center_again()

    def _center_again(self):
        self.center.again()
        self.center_is_there = True

    def await_arrival(self):
        acked = self.device.acked_lines()
        end = time.monotonic() + ARRIVE_SECONDS_MAX
        start = time.monotonic()
        while self.arrivals.count < acked and time.monotonic() < end:
            self.display.show(self.device_end + time.monotonic() - start, self.device, self.arrivals, "up, draining")
            time.sleep(0.2)
        self.display.say("")

    def result(self):
        """FIGURES, and what only the table and the complaints use."""
        counts = check.check(self.center.bootstrap, self.device.acks, self.run_id)
        marks = self.marks
        return {
            "produced": self.device.stats.get("produced", 0),
            "acked": counts["acked"],
            "acked_while_link_down": marks["acked_at_center_back"] - marks["acked_at_center_away"],
            "flash_only_at_cut": marks["acked_at_cut"] - marks["acked_at_center_away"],
            "upstream": counts["upstream"],
            "missing": counts["missing"],
            "duplicates": counts["duplicates"],
            "out_of_order": counts["out_of_order"],
            "gateway_rss_kib": self.gateway.rss_kib(),
            "payload_bytes": counts["payload_bytes"],
            "log_bytes_written": self.gateway.bytes_written(),
            "power_cut": self.flash.power_cut_kind,
            "rss_peak_kib": {"gateway": self.gateway.rss_peak_kib, "center": self.center.rss_peak_kib,
                             "linux-agent": self.device.rss_peak_kib},
            "first_missing": counts["first_missing"],
        }

    def tear_down(self):
        if hasattr(self, "arrivals"):
            self.arrivals.stop()
        for part in reversed(self.parts):
            try:
                part.stop()
            except (Exception, SystemExit) as error:  # the rest has to be ended all the same
                print("ending %s: %s" % (getattr(part, "name", "linux-agent"), error), file=sys.stderr)
        if hasattr(self, "flash"):
            self.flash.tear_down()
        sweep(os.path.join(self.folder, "center-data"))


def gateway_config(center):
    return {"routes": [{"bootstrap.servers": [center], "topics": ["*"], "create.topics": True, "retry.backoff.max.ms": "1s"}]}


def sweep(folder):
    import shutil
    shutil.rmtree(folder, ignore_errors=True)


def complaints(result):
    """Why this run does not pass, in words."""
    wrong = []
    if result["missing"]:
        wrong.append("%d acknowledged records are not at the center, for example %s" % (result["missing"], result["first_missing"]))
    if result["out_of_order"]:
        wrong.append("%d records arrived out of order" % result["out_of_order"])
    if result["acked"] != result["produced"]:
        wrong.append("%d produced, but %d acknowledged" % (result["produced"], result["acked"]))
    if result["produced"] < PRODUCED_MIN:
        wrong.append("%d records produced; at least %d make the test worth its name" % (result["produced"], PRODUCED_MIN))
    if result["acked_while_link_down"] < ACKED_WHILE_DOWN_MIN:
        wrong.append("%d records acknowledged while the center was away, %d wanted" % (
            result["acked_while_link_down"], ACKED_WHILE_DOWN_MIN))
    if result["flash_only_at_cut"] <= 0:
        wrong.append("no record was only on the gateway's flash when its power was cut")
    return wrong


def write_figures(folder, result):
    with open(os.path.join(folder, "result.json"), "w", encoding="utf-8") as file:
        json.dump({name: result[name] for name in FIGURES}, file, indent=2)


def table(result):
    rows = [("produced", result["produced"]), ("acknowledged", result["acked"]),
            ("  of these while the center was away", result["acked_while_link_down"]),
            ("  of these only on flash at the power cut", result["flash_only_at_cut"]),
            ("at the center", result["upstream"]), ("missing", result["missing"]), ("twice", result["duplicates"]),
            ("out of order", result["out_of_order"]), ("payload bytes", result["payload_bytes"]),
            ("bytes written to the gateway's flash", result["log_bytes_written"]),
            ("gateway memory, KiB (peak)", result["rss_peak_kib"]["gateway"]),
            ("center memory, KiB (peak)", result["rss_peak_kib"]["center"]),
            ("linux-agent memory, KiB (peak)", result["rss_peak_kib"]["linux-agent"]),
            ("power cut by", "ext4 shutdown ioctl, SIGKILL, remount" if result["power_cut"] == "ioctl"
             else "SIGKILL only (%s: the file system kept its power)" % (
                 "not root" if os.geteuid() else "no loop device to mount"))]
    for name, value in rows:
        print("  %-44s %12s" % (name, "{:,}".format(value) if isinstance(value, int) else value))


def try_next(demo):
    gateway, center = demo.gateway.bootstrap, demo.center.bootstrap
    tool = demo.options.leat
    print("\n  what to try next" + ("" if demo.options.keep else " (with `demo.sh --keep`, which leaves everything running)"))
    print("    kcat -L -b %s" % gateway)
    print("    kcat -C -b %s -t sensors.cpu -o -10 -e" % center)
    if tool:
        print("    %s status %s" % (tool, gateway))
    print("    kill -9 %d      # the gateway; start it again: %s" % (demo.gateway.process.pid, " ".join(
        str(word) for word in demo.gateway.process.args)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--leatd", required=True)
    parser.add_argument("--agent", required=True)
    parser.add_argument("--leat")
    parser.add_argument("--jars")
    parser.add_argument("--kafka", action="store_true")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    ends = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

    def leave(*_):
        # Ctrl-C comes twice, from the terminal and from demo.sh: what is mounted has to go all the same.
        for one in ends:
            signal.signal(one, signal.SIG_IGN)
        sys.exit(130)

    for number in ends:
        signal.signal(number, leave)
    demo = Demo(options)
    try:
        demo.set_up()
        demo.play()
        demo.await_arrival()
        result = demo.result()
        write_figures(demo.folder, result)
        table(result)
        try_next(demo)
        wrong = complaints(result)
        for text in wrong:
            print("!! " + text)
        if options.keep:
            print("\n  everything runs on; Ctrl-C ends it", flush=True)
            try:
                signal.pause()
            except SystemExit:
                pass
        print("\n%s acknowledged; power cut with %s only on flash; %s at the center, %d missing, %d twice" % (
            "{:,}".format(result["acked"]), "{:,}".format(result["flash_only_at_cut"]),
            "{:,}".format(result["upstream"]), result["missing"], result["duplicates"]), flush=True)
        return 1 if wrong else 0
    finally:
        demo.tear_down()


if __name__ == "__main__":
    sys.exit(main())
