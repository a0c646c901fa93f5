"""Header hygiene: whatever a client sends, the provider sees our own headers and those that its dialect has."""

import asyncio

from client import DIALECTS, ask, head, pieces
from gateway import Gateway, Partner, finish

ALLOWED = {
    "openai": {
        "host", "content-type", "content-length", "accept", "authorization", "user-agent", "traceparent", "tracestate",
        "openai-beta", "openai-organization", "openai-project", "x-client-request-id", "idempotency-key", "accept-encoding",
    },
    "anthropic": {
        "host", "content-type", "content-length", "accept", "x-api-key", "user-agent", "traceparent", "tracestate",
        "anthropic-version", "anthropic-beta", "idempotency-key", "accept-encoding",
    },
}
# Headers that a client must not get through, and two that it may.
SENT = {
    "x-forwarded-for": "10.9.8.7", "x-forwarded-host": "leak", "x-forwarded-proto": "https", "x-real-ip": "10.9.8.7",
    "forwarded": "for=10.9.8.7", "via": "1.1 leak", "cookie": "session=leak", "proxy-authorization": "Basic leak",
    "proxy-connection": "keep-alive", "keep-alive": "timeout=5", "te": "trailers", "trailer": "x-leak",
    "referer": "http://leak/", "origin": "http://localhost", "x-outrigger-tags": "leak", "x-outrigger-admin": "leak",
    "x-outrigger-request-id": "leak", "x-litellm-tags": "leak", "x-stainless-lang": "python", "x-custom": "leak",
    "http-referer": "http://leak/", "x-title": "leak", "content-md5": "leak", "x-amz-security-token": "leak",
    "authorization-info": "leak", "x-goog-api-key-2": "leak",
}
# Raw header lines that no request may have: the answer is 400 and nothing arrives.
BAD = [
    b"x_custom: underscore", b"x-forwarded_for: 10.9.8.7", b"x-a: b\rc: d", b"x-a: b\nc: d", b"x-a: \x00", b"x-a : b",
    b" x-a: b", b"x-a: b\r\n folded", b"x-\xc3\xa4: b", b"content-length: 5", b"transfer-encoding: chunked",
    b"host: other", b"x-api-key: or-other-key", b"connection: authorization", b"upgrade: websocket",
]


def config(base_url):
    return (
        "auth: {keys: required}\nproviders:\n"
        f'  openai: {{base_url: "{base_url}", key: env:PARTNER_KEY, models: [echo]}}\n'
        f'  anthropic: {{base_url: "{base_url}", key: env:PARTNER_KEY, models: [echo]}}\n'
        "prices: {unpriced: allow}\n"
    )


async def raw(port, key, line):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = b'{"model":"openai/echo","messages":[{"role":"user","content":"x"}]}'
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        + f"authorization: Bearer {key}\r\ncontent-length: {len(body)}\r\n".encode() + line + b"\r\n\r\n" + body
    )
    try:
        answer = await asyncio.wait_for(head(reader), 5)
        async for _ in pieces(reader, answer):
            pass
        return answer.status
    except (OSError, asyncio.IncompleteReadError):
        return 0
    finally:
        writer.close()


def main():
    partner = Partner()
    gateway = Gateway(config(partner.base_url))
    gateway.start()
    faults, snapshots = [], {}
    try:
        key = gateway.key("headers")
        for client in DIALECTS:
            for provider in ALLOWED:
                partner.control("POST", "/reset")
                path, body, headers = DIALECTS[client](f"{provider}/echo", "hello")
                answer = asyncio.run(ask(gateway.port, (path, body, {**headers, **SENT}), key))
                name = f"{client} client, {provider} partner"
                requests = partner.control("GET", "/requests")
                if answer.status != 200 or len(requests) != 1:
                    faults.append(f"{name}: {answer.status}, {len(requests)} requests: {answer.body[:200]!r}")
                    continue
                seen = dict(requests[0]["headers"])
                snapshots[name] = sorted(seen)
                if len(seen) != len(requests[0]["headers"]):
                    faults.append(f"{name}: a header came twice: {requests[0]['headers']}")
                if not set(seen) <= ALLOWED[provider]:
                    faults.append(f"{name}: the partner saw {sorted(set(seen) - ALLOWED[provider])}")
                if any("leak" in value or "10.9.8.7" in value or key in value for value in seen.values()):
                    faults.append(f"{name}: a value got through: {seen}")
        partner.control("POST", "/reset")
        for line in BAD:
            status = asyncio.run(raw(gateway.port, key, line))
            arrived = partner.stats()["arrivals"]
            # A header that is dropped does no harm; one that is refused reaches nobody.
            if (status != 400 and status != 401 or arrived) and not (status == 200 and arrived == 1 and dropped(partner)):
                faults.append(f"{line!r}: {status}, {arrived} arrivals")
            partner.control("POST", "/reset")
        faults += gateway.panics()
    finally:
        gateway.kill()
        partner.stop()
    for name, seen in snapshots.items():
        print(f"  {name}: {', '.join(seen)}")
    finish(faults, f"{len(SENT)} headers that must not pass in {len(snapshots)} pairs, {len(BAD)} malformed ones")


def dropped(partner):
    seen = partner.control("GET", "/requests")[0]["headers"]
    return {name for name, _ in seen} <= ALLOWED["openai"]


main()
