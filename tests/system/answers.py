"""Several answers (`n`) from a provider whose API gives one a call: OpenAI's client, Anthropic's dialect behind it.

Each call has a row of its own, keyed (request, call, attempt); budgets hold for all of them together or none is made;
one that fails fails them all; a client that leaves ends them all. The partner's journal is the other witness.
"""

import asyncio
import json
import time
from decimal import Decimal

from client import ask, chat, head, leave, pieces, verdict, wire
from gateway import Gateway, Journal, Partner, finish, get, many_files, until

JOURNAL = "journal.jsonl"
CROWD = 20
# A call's worst case is its output's, 1,000 tokens at 10 USD per million, and less than a tenth of that for its input.
BUDGETS = {
    "two-requests": "2 requests",
    "money-for-two": "0.025 USD",
    "money-for-three": "0.031 USD",
    "counted": "100 requests",
}


def config(base_url, routing=""):
    here = f'base_url: "{base_url}", key: env:PARTNER_KEY'
    return (
        "auth: {keys: required}\nproviders:\n"
        f"  claude: {{type: anthropic, {here}, models: [echo, lorem], timeouts: {{idle: 500ms}}}}\n"
        f"  spare: {{type: openai, {here}, models: [lorem]}}\n"
        "capabilities: {both: [claude/lorem, spare/lorem]}\n"
        "prices: {unpriced: reject, overrides: {"
        + ", ".join(f"{offer}: {{input: 0.01 USD per 1M, output: 10 USD per 1M}}"
                    for offer in ["claude/echo", "claude/lorem", "spare/lorem"])
        + "}}\nbudgets:\n"
        + "".join(f"  {app}: {{app: {app}, limit: {limit}, per: month}}\n" for app, limit in BUDGETS.items())
        + f"  all: 1000 USD per month\nrates: {{one: {{app: one-at-a-time, parallel: 1}}}}\n{routing}"
    )


class Run:
    def __init__(self, gateway, partner):
        self.gateway, self.partner, self.journal = gateway, partner, Journal(JOURNAL)
        self.keys, self.faults, self.calls = {}, [], 0

    def key(self, app):
        if app not in self.keys:
            self.keys[app] = self.gateway.key(app)
        return self.keys[app]

    def ask(self, app, text, model="claude/lorem", n=3, stream=False, **more):
        return asyncio.run(ask(self.gateway.port, chat(model, text, stream, n=n, **more), self.key(app)))

    def rows(self, answer):
        """The settled rows of a request, by attempt and call."""
        request = answer.headers["x-outrigger-request-id"]
        rows = [row for row in self.gateway.settled_rows() if row["request"] == request]
        return sorted(rows, key=lambda row: (row["attempt"], row["call"]))

    def arrivals(self):
        return self.partner.stats()["arrivals"]

    def expect(self, what, found, wanted):
        if found != wanted:
            self.faults.append(f"{what}: {found}, not {wanted}")

    def keyed(self, what, rows, wanted):
        self.expect(what, [(row["attempt"], row["call"], row["outcome"], row["error"]) for row in rows], wanted)

    def rule(self, text, do, **more):
        self.partner.control("POST", "/rules", {"match": {"contains": text}, "do": do, **more})


THREE = [(0, call, "ok", "none") for call in range(3)]


def events(body):
    data = [line[6:] for line in body.decode().splitlines() if line.startswith("data: ")]
    return [json.loads(it) for it in data if it != "[DONE]"]


def whole(run):
    before = run.arrivals()
    answer = run.ask("plain", "7 words, whole")
    run.expect("whole", verdict(answer, "openai", False), "ok")
    body, rows = answer.json(), run.rows(answer)
    run.expect("whole, choices", [it["index"] for it in body["choices"]], [0, 1, 2])
    run.expect("whole, finished", {it["finish_reason"] for it in body["choices"]}, {"stop"})
    run.expect("whole, said", all(it["message"]["content"] for it in body["choices"]), True)
    run.expect("whole, arrivals", run.arrivals() - before, 3)
    run.keyed("whole, rows", rows, THREE)
    agree(run, "whole", body["usage"], rows)
    cost = sum(Decimal(row["cost_usd"]) for row in rows)
    run.expect("whole, cost", (Decimal(answer.headers.get("x-outrigger-cost", "0")), cost > 0), (cost, True))
    run.expect("whole, attempts", answer.headers["x-outrigger-attempts"], "1")
    run.expect("whole, loss", "n" in answer.headers.get("x-outrigger-loss", ""), True)
    shares = {Decimal(row["reserved_usd"]) for row in rows}
    run.expect("whole, equal shares", (len(shares), Decimal("0.01") <= min(shares) < Decimal("0.011")), (1, True))


def agree(run, what, usage, rows):
    """The usage that the client sees is the sum of the rows."""
    told = (usage["prompt_tokens"], usage["completion_tokens"])
    run.expect(f"{what}, usage", told, (sum(row["input"] for row in rows), sum(row["output"] for row in rows)))
    run.expect(f"{what}, quality", {row["usage_quality"] for row in rows}, {"reported"})


def streamed(run):
    answer = run.ask("plain", "7 words, streamed", stream=True, stream_options={"include_usage": True})
    run.expect("streamed", verdict(answer, "openai", True), "ok")
    chunks, rows = events(answer.body), run.rows(answer)
    said = {0: "", 1: "", 2: ""}
    for choice in (it for chunk in chunks for it in chunk["choices"]):
        said[choice["index"]] += choice["delta"].get("content") or ""
    finished = sorted(it["index"] for chunk in chunks for it in chunk["choices"] if it["finish_reason"])
    run.expect("streamed, all said", all(said.values()), True)
    run.expect("streamed, finished", finished, [0, 1, 2])
    run.keyed("streamed, rows", rows, THREE)
    agree(run, "streamed", chunks[-1]["usage"], rows)


def budgets(run):
    """All calls together fit, or none is made; they are one request."""
    before = run.arrivals()
    statuses = [run.ask("two-requests", f"3 words, budget {n}").status for n in range(3)]
    run.expect("a budget of two requests", (statuses, run.arrivals() - before), ([200, 200, 402], 6))
    before = run.arrivals()
    answer = run.ask("money-for-two", "3 words")
    run.expect("money for two calls", (answer.status, answer.code()), (402, "budget_exceeded"))
    run.expect("money for two calls, asked for", "asks 0.03" in answer.body.decode(), True)
    request = answer.headers["x-outrigger-request-id"]
    rows = until(lambda: [row for row in run.gateway.rows() if row["request"] == request])
    refused = [("refused", "budget_exceeded")]
    run.expect("money for two calls, rows", [(it["outcome"], it["refusal"]) for it in rows], refused)
    run.expect("money for two calls, arrivals", run.arrivals() - before, 0)
    run.expect("two calls for that money", run.ask("money-for-two", "3 words", n=2).status, 200)
    run.expect("one at a time", run.ask("one-at-a-time", "3 words").status, 200)


def crowd(run):
    """Money for three calls, many who want them at once: one gets all three."""
    before = run.arrivals()
    run.rule("crowded", {"hold": True})

    async def together():
        asked = [ask(run.gateway.port, chat("claude/lorem", f"3 crowded {n}", n=3), run.key("money-for-three"))
                 for n in range(CROWD)]
        running = [asyncio.create_task(it) for it in asked]
        end = time.monotonic() + 20
        while sum(it.done() for it in running) < CROWD - 1 and time.monotonic() < end:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(run.partner.control, "POST", "/wait", {"counter": "held", "at_least": 3})
        run.partner.control("POST", "/release", {})
        return sorted(answer.status for answer in await asyncio.gather(*running))

    statuses = asyncio.run(together())
    run.expect("a crowd", (statuses, run.arrivals() - before), ([200] + [402] * (CROWD - 1), 3))


def one_fails(run):
    """One call is refused while the others wait: they are given up, and the next offer answers all."""
    run.rule("fails once", {"status": 500}, times=1)
    run.rule("fails once", {"hold": True}, times=2)
    before = counted(run)
    answer = run.ask("counted", "3 words, fails once", model="both")
    served = (verdict(answer, "openai", False), answer.headers.get("x-outrigger-offer"))
    run.expect("one fails", served, ("ok", "spare/lorem"))
    run.expect("one fails, choices", len(answer.json()["choices"]), 3)
    rows = run.rows(answer)
    failed = [(0, call, "failed", "server_error") for call in range(3)]
    run.keyed("one fails, rows", rows, [*failed, (1, 0, "ok", "none")])
    # The one that was refused is not billed; those given up may be, so they are held in full.
    quality = sorted((row["usage_quality"], row["output"]) for row in rows[:3])
    run.expect("one fails, charged", quality, [("bounded", 1000), ("bounded", 1000), ("counted", 0)])
    run.expect("one fails, still one request", counted(run) - before, 1)
    cancelled = until(lambda: run.partner.stats()["in_flight"] == 0)
    run.expect("one fails, the others are cancelled", cancelled, True)
    # Nothing else left: the client hears what the provider said, once the retries are used up.
    run.rule("fails always", {"status": 503})
    answer = run.ask("plain", "3 words, fails always")
    run.expect("all fail", (answer.status, answer.code()), (502, "upstream_error"))


def counted(run):
    """What the budget of requests has settled."""
    text = get(f"http://127.0.0.1:{run.gateway.admin}/v1/outrigger/budgets", run.gateway.admin_token())[1]
    return next(int(it["settled"]) for it in json.loads(text)["budgets"] if it["name"] == "counted")


def first_event(run):
    """An error in place of one call's first event: the next offer takes over, the client sees nothing of it."""
    run.rule("first event", {"error_first": True}, times=1)
    run.rule("first event", {"gap_ms": 20}, times=2)
    answer = run.ask("plain", "90 words, first event", model="both", stream=True)
    served = (verdict(answer, "openai", True), answer.headers.get("x-outrigger-offer"))
    run.expect("first event", served, ("ok", "spare/lorem"))
    rows = run.rows(answer)
    run.expect("first event, calls", [(row["attempt"], row["call"]) for row in rows], [(0, 0), (0, 1), (0, 2), (1, 0)])
    run.expect("first event, last", rows[-1]["outcome"], "ok")


def breaks(run):
    """One stream breaks, or falls silent, while the others flow: the client is told and can't take it for whole."""
    for text, do, error in [
        ("is cut", {"fault": "cut", "at": 900, "gap_ms": 20}, "bad_response"),
        ("falls silent", {"fault": "stall_at", "at": 900, "gap_ms": 20}, "stall"),
        ("says error", {"error_after": 3, "gap_ms": 20}, None),
    ]:
        run.rule(text, do, times=1)
        run.rule(text, {"gap_ms": 20})
        answer = run.ask("plain", f"400 words, {text}", stream=True)
        run.expect(text, verdict(answer, "openai", True), "cut")
        rows = run.rows(answer)
        found = {(row["outcome"], row["usage_quality"]) for row in rows}
        run.expect(f"{text}, rows", (len(rows), found), (3, {("interrupted", "counted")}))
        if error:
            run.expect(f"{text}, why", {row["error"] for row in rows}, {error})
        run.expect(f"{text}, charged", all(row["input"] and row["output"] for row in rows), True)


async def left(run, text, stream):
    """A client that leaves once the partner has all three calls, and, of a stream, some of each answer was read."""
    reader, writer = await asyncio.open_connection("127.0.0.1", run.gateway.port)
    writer.write(wire(run.gateway.port, chat("claude/lorem", text, stream, n=3), run.key("plain")))
    if stream:
        got = b""
        async for piece in pieces(reader, await head(reader)):
            got += piece
            if all(f'"index":{n},"delta":{{"content"'.encode() in got for n in range(3)):
                break
    end = time.monotonic() + 10
    while len(run.journal.arrivals(text)) < 3 and time.monotonic() < end:
        await asyncio.sleep(0.002)
    arrived = run.journal.arrivals(text)
    leave(writer, "fin")
    while not all(run.journal.end(it["n"]) for it in arrived) and time.monotonic() < end:
        await asyncio.sleep(0.002)
    ends = [run.journal.end(it["n"]) for it in arrived]
    writer.close()
    return [it and it["ev"] for it in ends]


def leaves(run):
    before = run.gateway.metrics()["outrigger_client_disconnects_total"]
    run.rule("leaves midway", {"gap_ms": 20})
    run.rule("leaves waiting", {"hold": True})
    for text, stream, quality in [("400 leaves midway", True, "counted"), ("400 leaves waiting", False, "bounded")]:
        ends = asyncio.run(left(run, text, stream))
        run.expect(f"{text}, seen by the partner", ends, ["cancelled"] * 3)
        rows = [row for row in run.gateway.settled_rows() if row["outcome"] == "client_gone"][-3:]
        run.expect(f"{text}, one request", len({row["request"] for row in rows}), 1)
        found = sorted((row["call"], row["usage_quality"]) for row in rows)
        run.expect(f"{text}, rows", found, [(call, quality) for call in range(3)])
    metrics = run.gateway.metrics()
    run.expect("clients that left", metrics["outrigger_client_disconnects_total"] - before, 2)
    run.expect("streams", metrics["outrigger_streams_active"], 0)


def read_on(run, base_url):
    """Where the configuration wants it, what a client has left is read to its end."""
    run.gateway.write(config(base_url, "routing: {on_client_disconnect: drain}\n"))
    until(lambda: run.gateway.metrics()["outrigger_config_revision"] == 2)
    run.rule("read on", {"gap_ms": 20})
    ends = asyncio.run(left(run, "40 read on", True))
    run.expect("read on, seen by the partner", ends, ["done"] * 3)
    rows = run.gateway.settled_rows()[-3:]
    run.keyed("read on, rows", rows, THREE)
    run.expect("read on, quality", {row["usage_quality"] for row in rows}, {"reported"})


def main():
    many_files(512)
    partner = Partner(JOURNAL)
    gateway = Gateway(config(partner.base_url))
    gateway.start()
    run = Run(gateway, partner)
    try:
        for part in [whole, streamed, budgets, crowd, one_fails, first_event, breaks, leaves]:
            part(run)
            partner.control("POST", "/reset")
        read_on(run, partner.base_url)
        gauges = {name: value for name, value in gateway.metrics().items() if "reserved" in name}
        run.expect("reservations at the end", (bool(gauges), any(gauges.values())), (True, False))
        gateway.run("ledger", "verify")
        run.faults += gateway.panics()
    finally:
        gateway.kill()
        partner.stop()
    finish(run.faults, "three answers by three calls: whole, streamed, in budgets, one failing, broken, silent, left")


main()
