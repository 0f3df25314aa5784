"""A way to a server on which answers get lost, or which is cut: what the server takes nevertheless, the client is not told."""
import contextlib
import socket
import threading

from free_ports import free_ports


def shut(*sockets):
    for one in sockets:
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


class Proxy:
    """Clients connect to `port`; `to` is the server's, and may be given later."""

    def __init__(self):
        self.to, self.port = None, free_ports(1)[0]
        self.loses_answers, self.is_down = False, False
        self.lock, self.pairs = threading.Lock(), []
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self):
        """Ends all connections, and each new one until `mend`."""
        with self.lock:
            self.is_down = True
            for pair in self.pairs:
                shut(*pair)
            self.pairs.clear()

    def mend(self):
        with self.lock:
            self.loses_answers = self.is_down = False

    def _accept(self):
        while True:
            client, _ = self.listener.accept()
            try:
                server = socket.create_connection(("127.0.0.1", self.to), timeout=5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            with self.lock:
                if self.is_down:
                    client.close(), server.close()
                    continue
                self.pairs.append((client, server))
            threading.Thread(target=self._pump, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._pump, args=(server, client, True), daemon=True).start()

    def _pump(self, source, sink, is_answer):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if not (is_answer and self.loses_answers):
                    sink.sendall(data)
        shut(source, sink)
        source.close()
