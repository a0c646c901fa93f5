"""A client of WebSockets (RFC 6455) that says every byte itself: what a library would not send can be sent too."""

import base64
import json
import os
import socket
import struct

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Refused(Exception):
    """The handshake was answered with something else."""

    def __init__(self, status, body):
        super().__init__(f"{status} {body[:300]}")
        self.status, self.body = status, body


class Closed(Exception):
    """The other side has closed: in good form with a code, or without."""

    def __init__(self, code=None, reason=""):
        super().__init__(f"{code} {reason}")
        self.code, self.reason = code, reason


class WebSocket:
    def __init__(self, port, path, headers=(), timeout=10):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.buffer = b""
        challenge = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f"GET {path} HTTP/1.1", f"host: 127.0.0.1:{port}", "connection: Upgrade", "upgrade: websocket",
            "sec-websocket-version: 13", f"sec-websocket-key: {challenge}", *(f"{k}: {v}" for k, v in headers),
        ]
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        while b"\r\n\r\n" not in self.buffer:
            self.fill()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        first, *fields = head.decode().split("\r\n")
        self.headers = {k.lower(): v for k, v in (field.split(": ", 1) for field in fields)}
        status = int(first.split(" ")[1])
        if status != 101:
            while len(self.buffer) < int(self.headers.get("content-length", 0)):
                self.fill()
            self.socket.close()
            raise Refused(status, self.buffer.decode(errors="replace"))

    def fill(self):
        data = self.socket.recv(65536)
        if not data:
            raise Closed()
        self.buffer += data

    def take(self, count):
        while len(self.buffer) < count:
            self.fill()
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def send(self, payload, opcode=TEXT, final=True):
        """One frame; an event where it is given one."""
        if isinstance(payload, dict):
            payload = json.dumps(payload)
        if isinstance(payload, str):
            payload = payload.encode()
        mask = os.urandom(4)
        size = len(payload)
        if size < 126:
            length = bytes([0x80 | size])
        elif size < 65536:
            length = bytes([0x80 | 126]) + struct.pack("!H", size)
        else:
            length = bytes([0x80 | 127]) + struct.pack("!Q", size)
        keys = (mask * (size // 4 + 1))[:size]
        masked = (int.from_bytes(payload, "big") ^ int.from_bytes(keys, "big")).to_bytes(size, "big")
        self.socket.sendall(bytes([(0x80 if final else 0) | opcode]) + length + mask + masked)

    def frame(self):
        """The next frame: opcode and payload."""
        first, second = self.take(2)
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack("!H", self.take(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self.take(8))
        return first & 0x0F, self.take(size)

    def event(self):
        """The next event; pings are answered."""
        while True:
            opcode, payload = self.frame()
            if opcode == TEXT:
                return json.loads(payload)
            if opcode == PING:
                self.send(payload, PONG)
            if opcode == CLOSE:
                code = struct.unpack("!H", payload[:2])[0] if payload else None
                self.send(payload[:2], CLOSE)
                raise Closed(code, payload[2:].decode())

    def until(self, *kinds):
        """The events up to one of that kind."""
        events = []
        while True:
            events.append(self.event())
            if events[-1]["type"] in kinds:
                return events

    def closed(self):
        """Reads to the close; gives it and the events before."""
        events = []
        try:
            while True:
                events.append(self.event())
        except Closed as closed:
            self.socket.close()
            return closed, events
        except ConnectionError:
            return Closed(), events

    def close(self, code=1000):
        self.send(struct.pack("!H", code), CLOSE)
        return self.closed()

    def drop(self):
        self.socket.close()
