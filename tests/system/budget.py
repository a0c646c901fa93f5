"""1,000 concurrent requests on a budget for exactly 137: 137 are admitted, each round.

Half of the rounds have a budget of 137 requests; the other half one of money, for 137 times the worst case. The
partner holds every answer until all requests are decided, so that no refund makes room for a 138th.
"""

import asyncio
import json
import sys

from gateway import LONG, Gateway, Partner, many_files

ROUNDS = 100 if LONG else 20
CALLS, ADMITTED = 1000, 137
OUTPUT = 1000  # tokens a request may make: 0.01 USD
# 137 outputs at 0.01 USD, and less than one more for all their inputs together.
MONEY = "1.375 USD"


def config(base_url):
    lines = []
    for i in range(ROUNDS):
        limit = f"{ADMITTED} requests" if i % 2 == 0 else MONEY
        lines.append(f"  race-{i}: {{app: race-{i}, limit: {limit}, per: month}}")
    return (
        f'auth: {{keys: required}}\nproviders:\n  mock: {{type: openai, base_url: "{base_url}", key: env:PARTNER_KEY,'
        " models: [echo]}\nprices:\n  overrides:\n    mock/echo: {input: 0.01 USD per 1M, output: 10 USD per 1M}\n"
        "budgets:\n" + "\n".join(lines) + "\n"
    )


def request(port, key):
    body = json.dumps({
        "model": "mock/echo",
        "max_completion_tokens": OUTPUT,
        "messages": [{"role": "user", "content": "race"}],
    }).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {key}\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def status_of(reader):
    line = await reader.readline()
    status = int(line.split()[1]) if line else 0
    await reader.read()
    return status


async def one_round(partner, port, key):
    partner.control("POST", "/reset")
    # The bound is used to the last token, so that settling gives nothing back that a later request could use.
    partner.control("POST", "/rules", {"do": {"hold": True, "exact": True}})
    connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(CALLS)]
    wire = request(port, key)
    for _, writer in connections:
        writer.write(wire)
    answers = [asyncio.ensure_future(status_of(reader)) for reader, _ in connections]
    until = asyncio.get_running_loop().time() + 60
    while True:
        refused = sum(a.done() for a in answers)
        held = (await asyncio.to_thread(partner.control, "GET", "/stats"))["held"]
        if refused + held >= CALLS or asyncio.get_running_loop().time() > until:
            break
        await asyncio.sleep(0.01)
    partner.control("POST", "/release", {})
    statuses = await asyncio.wait_for(asyncio.gather(*answers), 60)
    for _, writer in connections:
        writer.close()
    arrivals = partner.control("GET", "/stats")["arrivals"]
    return held, statuses, arrivals


def main():
    many_files()
    partner = Partner()
    gateway = Gateway(config(partner.base_url))
    gateway.start()
    try:
        for i in range(ROUNDS):
            held, statuses, arrivals = asyncio.run(one_round(partner, gateway.port, gateway.key(f"race-{i}")))
            counts = {s: statuses.count(s) for s in sorted(set(statuses))}
            if counts != {200: ADMITTED, 402: CALLS - ADMITTED} or arrivals != ADMITTED or held != ADMITTED:
                sys.exit(f"round {i}: answers {counts}, held {held}, arrivals {arrivals}")
        gateway.run("ledger", "verify")
        print(f"{ROUNDS} rounds: {ADMITTED} of {CALLS} admitted in each")
    finally:
        gateway.kill()
        partner.stop()


main()
