"""A client of the gateway that can stop anywhere: HTTP/1.1 and a little HTTP/2, both by hand."""

import asyncio
import json
import socket
import struct


class Torn(Exception):
    """The connection ended before the answer did."""


class Answer:
    """An answer as far as it came."""

    def __init__(self, status, headers):
        self.status, self.headers, self.body, self.whole = status, headers, b"", False

    def json(self):
        return json.loads(self.body)

    def code(self):
        """Our error code, where the body is one of our errors in either shape."""
        try:
            error = self.json()["error"]
            return error["outrigger"]["code"] if "outrigger" in error else error.get("type")
        except (ValueError, KeyError, TypeError):
            return None


def chat(model, text, stream=False, **more):
    """Path, body and headers of a chat completion."""
    body = {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 1000, **more}
    if stream:
        body["stream"] = True
    return "/v1/chat/completions", body, {}


def messages(model, text, stream=False, **more):
    """The same question in Anthropic's dialect."""
    _, body, _ = chat(model, text, stream, **more)
    return "/v1/messages", body, {"anthropic-version": "2023-06-01"}


DIALECTS = {"openai": chat, "anthropic": messages}


def wire(port, question, key=None, host=None, close=True):
    """The bytes of a request."""
    path, body, headers = question
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"POST {path} HTTP/1.1", f"host: {host or f'127.0.0.1:{port}'}", "content-type: application/json"]
    lines += [f"authorization: Bearer {key}"] if key else []
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += ["connection: close"] if close else []
    return "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body


async def head(reader):
    """Status and headers."""
    text = await reader.readuntil(b"\r\n\r\n")
    first, *lines = text.decode("latin-1").strip().split("\r\n")
    headers = dict(line.split(":", 1) for line in lines)
    return Answer(int(first.split()[1]), {k.lower(): v.strip() for k, v in headers.items()})


async def pieces(reader, answer):
    """The pieces of the body; `whole` is set once the framing says that all of it came."""
    if answer.headers.get("transfer-encoding") == "chunked":
        while size := int(await reader.readuntil(b"\r\n"), 16):
            piece = (await reader.readexactly(size + 2))[:-2]
            answer.body += piece
            yield piece
        await reader.readexactly(2)
    else:
        left = int(answer.headers.get("content-length", 0))
        while left:
            piece = await reader.read(min(left, 1 << 16))
            if not piece:
                raise Torn
            left -= len(piece)
            answer.body += piece
            yield piece
    answer.whole = True


async def ask(port, question, key=None, host=None, seconds=30):
    """One question on a connection of its own. A torn answer is given as far as it came; no answer has status 0.
    One that takes longer than that is a TimeoutError."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    answer = Answer(0, {})

    async def read():
        nonlocal answer
        writer.write(wire(port, question, key, host))
        answer = await head(reader)
        async for _ in pieces(reader, answer):
            pass

    try:
        await asyncio.wait_for(read(), seconds)
    except asyncio.TimeoutError:
        raise
    except (OSError, asyncio.IncompleteReadError, Torn):
        pass
    finally:
        writer.close()
    return answer


def verdict(answer, dialect, stream):
    """What a client makes of an answer: `ok`, `error` (whole, in the dialect's shape), `cut` (a stream that ends in an
    error event and an aborted body), or a description of what no client should see."""
    if answer.status == 200 and answer.whole:
        ending = b"message_stop" if dialect == "anthropic" else b"[DONE]"
        if stream and ending in answer.body[-200:] and not stream_error(answer.body, dialect):
            return "ok"
        try:
            if not stream and answer.json()["content" if dialect == "anthropic" else "choices"]:
                return "ok"
        except (ValueError, KeyError):
            pass
    elif answer.status >= 400 and answer.whole:
        try:
            body = answer.json()
            shaped = body["error"]["type"] and body["error"]["message"] is not None
            if shaped and (dialect != "anthropic" or body["type"] == "error"):
                return "error"
        except (ValueError, KeyError, TypeError):
            pass
    elif answer.status == 200 and stream and stream_error(answer.body, dialect):
        return "cut"
    return f"status {answer.status}, whole: {answer.whole}, ...{answer.body[-160:]!r}"


def stream_error(body, dialect):
    """Whether the last event of a stream is an error in the dialect's shape."""
    last = body.replace(b"\r\n", b"\n").rstrip(b"\n").split(b"\n\n")[-1].decode(errors="replace").split("\n")
    fields = dict(line.split(": ", 1) for line in last if ": " in line)
    try:
        data = json.loads(fields["data"])
        return bool(data["error"]["message"]) and (dialect != "anthropic" or fields["event"] == data["type"] == "error")
    except (ValueError, KeyError, TypeError):
        return False


def leave(writer, how):
    """Goes away: with an orderly FIN, or with a reset."""
    sock = writer.get_extra_info("socket")
    if how == "rst":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    else:
        sock.shutdown(socket.SHUT_RDWR)
        writer.close()


SETTINGS, HEADERS, DATA, RST_STREAM, PING, CANCEL = 4, 1, 0, 3, 6, 8


class H2:
    """One HTTP/2 connection with prior knowledge, which understands no more than when something comes."""

    def __init__(self, port):
        self.port = port

    async def open(self):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        self.send(SETTINGS, 0, 0, b"")

    def send(self, kind, flags, stream, payload):
        self.writer.write(len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload)

    def request(self, stream, question, key):
        path, body, headers = question
        body = json.dumps(body).encode()
        fields = {
            ":method": "POST", ":scheme": "http", ":authority": f"127.0.0.1:{self.port}", ":path": path,
            "content-type": "application/json", "authorization": f"Bearer {key}", **headers,
        }
        block = b"".join(b"\0" + literal(name) + literal(value) for name, value in fields.items())
        self.send(HEADERS, 4, stream, block)
        self.send(DATA, 1, stream, body)

    async def data(self, stream):
        """The next piece of the body; settings and pings are answered on the way."""
        while True:
            head = await self.reader.readexactly(9)
            size, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
            number = int.from_bytes(head[5:], "big") & 0x7FFFFFFF
            payload = await self.reader.readexactly(size)
            if kind in (SETTINGS, PING) and not flags & 1:
                self.send(kind, 1, 0, payload if kind == PING else b"")
            elif kind == DATA and number == stream and payload:
                return payload
            elif kind == RST_STREAM and number == stream:
                raise Torn

    def reset(self, stream):
        self.send(RST_STREAM, 0, stream, CANCEL.to_bytes(4, "big"))


def literal(text):
    """A string of HPACK, neither coded nor indexed."""
    raw = text.encode()
    if len(raw) < 127:
        return bytes([len(raw)]) + raw
    out, rest = [127], len(raw) - 127
    while rest >= 128:
        out.append(rest % 128 + 128)
        rest //= 128
    return bytes([*out, rest]) + raw
