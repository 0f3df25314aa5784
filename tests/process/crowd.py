"""Many connections on one thread."""
import selectors
import struct

from harness import connect


class Crowd:
    """Many connections on one thread; `on_answer(number, data)` is called for each answer, `on_gone(number)` for each that the
    broker closed."""

    def __init__(self, port):
        self.port, self.selector, self.clients, self.have = port, selectors.DefaultSelector(), {}, {}

    def open(self, number):
        client = connect(self.port)
        self.clients[number], self.have[number] = client, b""
        self.selector.register(client, selectors.EVENT_READ, number)

    def close(self, number):
        client = self.clients.pop(number)
        self.selector.unregister(client)
        client.close()

    def send(self, number, frame):
        try:
            self.clients[number].sendall(frame)
        except OSError:
            pass  # its end is read next

    def turn(self, wait, on_answer, on_gone):
        for key, _ in self.selector.select(wait):
            number = key.data
            try:
                piece = key.fileobj.recv(1 << 17)
            except OSError:
                piece = b""
            if not piece:
                self.close(number)
                on_gone(number)
                continue
            data = self.have[number] + piece
            while len(data) >= 4 and len(data) >= 4 + struct.unpack(">i", data[:4])[0]:
                size = 4 + struct.unpack(">i", data[:4])[0]
                frame, data = data[4:size], data[size:]
                on_answer(number, frame)
                if number not in self.clients:
                    break
            if number in self.clients:
                self.have[number] = data
