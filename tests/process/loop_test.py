"""Two gateways whose routes name each other: what one brings, the other does not take back."""
import json
import os
import socket
import struct
import time
import unittest

from harness import Case, answer, connect, kcat_consume, kcat_produce, request, text, wait_for


class Loop(Case):
    def gateways(self, **route):
        ports = []
        with socket.socket() as one, socket.socket() as two:
            for taken in (one, two):
                taken.bind(("127.0.0.1", 0))
                ports.append(taken.getsockname()[1])
        made = []
        for here, there in (ports, ports[::-1]):
            path = os.path.join(self.folder, "%d.json" % here)
            with open(path, "w", encoding="utf-8") as file:
                json.dump({"routes": [dict({"name": "other", "bootstrap.servers": "127.0.0.1:%d" % there, "topics": ["*"], "create.topics": True,
                                            "retry.backoff.max.ms": "500ms"}, **route)]}, file)
            made.append(self.leatd("--http", "127.0.0.1:0", "--config", path, listen="127.0.0.1:%d" % here))
        return [one.start() for one in made]

    def high_watermark(self, leatd, topic):
        found = [one for one in leatd.status()["topics"] if one["name"] == topic]
        return found[0]["partitions"][0]["high_watermark"] if found else 0

    def test_a_topic_goes_one_way_and_stops_there(self):
        first, second = self.gateways()
        lines = ["line %d" % i for i in range(50)]
        kcat_produce(first.port, "t", lines)
        wait_for(lambda: self.high_watermark(second, "t") >= 50, "the records upstream")
        time.sleep(2)  # they would go round a thousand times
        self.assertEqual((self.high_watermark(first, "t"), self.high_watermark(second, "t")), (50, 50))
        self.assertEqual(kcat_consume(second.port, "t"), lines)
        self.assertIn("the upstream forwards t to here", second.log())
        self.assertNotIn("the upstream forwards t to here", first.log())
        kcat_produce(first.port, "t", lines)  # and on in the one direction
        wait_for(lambda: self.high_watermark(second, "t") >= 100, "more records upstream")
        self.assertEqual(self.high_watermark(first, "t"), 50 + 50)

    def test_with_headers_what_came_back_does_not_go_again(self):
        first, second = self.gateways(**{"headers": True, "upstream.topic": "t"})  # renaming: nobody may know it by the name
        kcat_produce(first.port, "t", ["a", "b", "c"])
        wait_for(lambda: self.high_watermark(second, "t") >= 3, "the records upstream")
        wait_for(lambda: first.status()["uplink"][0]["returned_records_total"] == 3, "what came back to be seen")
        time.sleep(2)
        self.assertEqual((self.high_watermark(first, "t"), self.high_watermark(second, "t")), (6, 3))
        self.assertIn("come back into t", first.log())

    def test_a_center_that_advertises_our_address_does_not_make_the_records_go_round_here(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            here = taken.getsockname()[1]
        center = self.leatd("--http", "127.0.0.1:0", "--advertised", "127.0.0.1:%d" % here).start()
        with connect(center.port) as client:  # Metadata, which makes it; kcat would follow the address
            client.sendall(request(3, 4, 1, struct.pack(">i", 1) + text("t") + b"\1"))
            answer(client)
        wait_for(lambda: [one["name"] for one in center.status()["topics"]] == ["t"], "the topic at the center")
        path = os.path.join(self.folder, "gateway.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"routes": [{"bootstrap.servers": "127.0.0.1:%d" % center.port, "topics": ["*"]}]}, file)
        gateway = self.leatd("--http", "127.0.0.1:0", "--config", path, listen="127.0.0.1:%d" % here).start()
        kcat_produce(gateway.port, "t", ["line %d" % i for i in range(50)])
        wait_for(lambda: "this very broker" in gateway.log() or "leads back to this broker" in gateway.log(), "a word about it")
        time.sleep(2)
        self.assertLessEqual(self.high_watermark(gateway, "t"), 200)


if __name__ == "__main__":
    unittest.main()
