"""A small HTTP/1.1 client: Python's own takes more time than the server."""

import re
import socket
import threading

HOPS_MAX = 5


class Refused(Exception):
    """An answer that is not the value."""


class Client:
    """For one thread. Keeps a connection to each port it has talked to."""

    def __init__(self):
        self.connections = {}

    def request(self, port, method, target, body=b""):
        """(status, headers with lower-case names, body); once more if a
        connection that was kept turns out to be closed."""
        kept = port in self.connections
        try:
            return self.exchange(port, method, target, body)
        except OSError:
            self.close(port)
            if not kept:
                raise
        return self.exchange(port, method, target, body)

    def get(self, port, target):
        """The value, through redirects. A volume that has just gone away is
        no reason to give up: the next try is sent elsewhere."""
        start, hops = (port, target), 0
        while True:
            try:
                status, headers, body = self.request(port, "GET", target)
            except OSError:
                if hops >= HOPS_MAX:
                    raise
                status, headers = 307, {"location": ""}
            if status == 200:
                return body
            hops += 1
            if status not in (302, 307) or hops > HOPS_MAX:
                raise Refused(f"{target[:80]}: {status} {bytes(body)[:200]}")
            found = re.match(r"http://[^/:]+:(\d+)(/.*)", headers["location"])
            port, target = (int(found[1]), found[2]) if found else start

    def exchange(self, port, method, target, body):
        if port not in self.connections:
            connection = socket.create_connection(("127.0.0.1", port), 60)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections[port] = (connection, connection.makefile("rb"))
        connection, stream = self.connections[port]
        head = f"{method} {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        if method == "PUT":
            head += f"Content-Length: {len(body)}\r\n"
        connection.sendall(head.encode() + b"\r\n" + body)
        status = stream.readline().split()
        if len(status) < 2:
            raise ConnectionResetError("the connection ended")
        headers = {}
        while (line := stream.readline()) != b"\r\n":
            if not line:
                raise ConnectionResetError("the connection ended")
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        length = int(headers.get("content-length", 0))
        if method == "HEAD":
            length = 0
        answer = stream.read(length)
        if len(answer) < length:
            raise ConnectionResetError("the connection ended")
        if headers.get("connection") == "close":
            self.close(port)
        return int(status[1]), headers, answer

    def close(self, port):
        for part in self.connections.pop(port, ()):
            part.close()


def in_threads(works):
    """Calls all at once and waits; the first exception is raised again."""
    errors = []

    def call(work):
        try:
            work()
        except Exception as error:  # Raised again below.
            errors.append(error)

    threads = [threading.Thread(target=call, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
