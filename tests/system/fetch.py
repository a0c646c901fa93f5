"""What a client names by URL: fetched and sent inline for an offer that takes it inline only, where the configuration says
so, and never else; once a request, from the hosts that are named and no others, and told in words that tell no more.

The file server is a process of this script's own: what it was asked for is the witness of what was fetched, and what the
partner was sent of what became of it.
"""

import asyncio
import base64
import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from client import ask, verdict
from gateway import Gateway, Partner, finish, free_port, until

# One red pixel, as the PNG's own tests have it.
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)
PDF = b"%PDF-1.4 a page"
TYPES = {"/a.png": ("image/png", PNG), "/b.png": ("binary/octet-stream", PNG), "/c.pdf": ("application/pdf", PDF),
         "/d.txt": ("text/plain; charset=utf-8", b"plain words"), "/lies.png": ("image/png", b"<html>"),
         "/large.png": ("image/png", PNG + b"\0" * (2 << 20))}


class Files:
    """A web server that counts what it is asked for."""

    def __init__(self):
        files, self.asked, self.headers = self, [], []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                files.asked.append(self.path)
                files.headers.append(dict(self.headers))
                path = self.path.split("?")[0]
                if path.startswith("/to/"):
                    self.send_response(302)
                    self.send_header("location", bytes.fromhex(path[4:]).decode())
                    self.send_header("content-length", "0")
                    return self.end_headers()
                said, body = TYPES.get(path, (None, b""))
                self.send_response(200 if said else 404)
                if said:
                    self.send_header("content-type", said)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def redirect(self, to):
        return self.url("/to/" + to.encode().hex())


def config(partner, rules):
    here = f'base_url: "{partner.base_url}", key: env:PARTNER_KEY'
    bare = partner.base_url.removesuffix("/v1")
    return (
        "auth: {keys: required}\nproviders:\n"
        + "".join(f'  {name}: {{type: bedrock, base_url: "{bare}", key: env:PARTNER_KEY, models: [echo],'
                  " dialects: [bedrock-converse]}\n" for name in ["converse", "again"])
        +        f"  chat: {{type: openai, {here}, models: [echo]}}\n"
        f"  inline: {{type: ollama, {here}, models: [echo]}}\n"
        "capabilities:\n"
        "  either: {core: {offers: [converse/echo, chat/echo]}}\n"
        "  twice: {core: {offers: [converse/echo, again/echo]}}\n"
        "  strict: {core: {offers: [converse/echo]}, on_loss: reject}\n"
        "prices: {overrides: {"
        + ", ".join(f"{it}/echo: {{input: 1 USD per 1M, output: 1 USD per 1M}}" for it in ["converse", "again", "chat", "inline"])
        + "}}\nbudgets:\n  spent: {app: spent, limit: 0.000001 USD, per: month}\n"
        "rates: {asked: {app: asked, requests: 3/h}}\n"
        f"routing: {rules}\n"
    )


def named(files):
    hosts = f'["127.0.0.1:{files.port}"]'
    return f"{{fetch_urls: {{hosts: {hosts}, allow_private_address: true}}}}"


def openai(model, *urls):
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    body = {"model": model, "max_tokens": 20, "messages": [
        {"role": "user", "content": [{"type": "text", "text": "look"}, *parts]}]}
    return "/v1/chat/completions", body, {}


def anthropic(model, url, kind="document"):
    part = {"type": kind, "source": {"type": "url", "url": url}}
    body = {"model": model, "max_tokens": 20, "messages": [
        {"role": "user", "content": [part, {"type": "text", "text": "read"}]}]}
    return "/v1/messages", body, {"anthropic-version": "2023-06-01"}


class Run:
    def __init__(self, gateway, partner, files):
        self.gateway, self.partner, self.files = gateway, partner, files
        self.keys, self.faults, self.cases = {}, [], 0

    def ask(self, question, app="plain"):
        if app not in self.keys:
            self.keys[app] = self.gateway.key(app)
        self.cases += 1
        self.files.asked.clear()
        self.files.headers.clear()
        self.partner.control("POST", "/reset")
        return asyncio.run(ask(self.gateway.port, question, self.keys[app]))

    def sent(self):
        """What the partner was sent last."""
        requests = self.partner.control("GET", "/requests")
        return json.loads(requests[-1]["body"]) if requests else {"messages": [{"content": [{}] * 2}]}

    def expect(self, what, found, wanted):
        if found != wanted:
            self.faults.append(f"{what}: {found}, not {wanted}")

    def refused(self, what, answer, says, asked=()):
        text = answer.body.decode()
        self.expect(what, (answer.status, says in text, self.files.asked, self.partner.stats()["arrivals"]),
                    (400, True, list(asked), 0))
        for secret in ["signature", "private", "loopback", "refused", "metadata"]:
            self.expect(f"{what}, tells no {secret}", secret in text.lower(), False)
        return text


def fetched(run):
    png, pdf = base64.b64encode(PNG).decode(), base64.b64encode(PDF).decode()
    answer = run.ask(openai("converse/echo", run.files.url("/a.png?signature=x"), run.files.url("/b.png")))
    parts = run.sent()["messages"][0]["content"]
    run.expect("images", (answer.status, [it["image"] for it in parts if "image" in it]),
               (200, [{"format": "png", "source": {"bytes": png}}] * 2))
    run.expect("images, asked", sorted(run.files.asked), ["/a.png?signature=x", "/b.png"])
    run.expect("images, loss", "image_url=emulated" in answer.headers.get("x-outrigger-loss", ""), True)
    allowed = {"host", "accept", "accept-encoding", "user-agent", "content-length"}
    seen = {name.lower() for headers in run.files.headers for name in headers}
    run.expect("images, headers", seen - allowed, set())

    answer = run.ask(anthropic("converse/echo", run.files.url("/c.pdf")))
    document = run.sent()["messages"][0]["content"][0].get("document", {})
    run.expect("a document", (answer.status, document.get("format"), document.get("source")), (200, "pdf", {"bytes": pdf}))
    answer = run.ask(anthropic("chat/echo", run.files.url("/d.txt")))
    run.expect("a text", (answer.status, "plain words" in json.dumps(run.sent())), (200, True))
    # The same URL twice is one file.
    answer = run.ask(openai("converse/echo", *[run.files.url("/a.png")] * 3))
    run.expect("thrice the same", (answer.status, run.files.asked), (200, ["/a.png"]))
    # An offer that fetches by itself is told the URL.
    answer = run.ask(openai("chat/echo", run.files.url("/a.png")))
    url = run.sent()["messages"][0]["content"][1].get("image_url", {}).get("url")
    run.expect("left to the provider", (answer.status, url, run.files.asked), (200, run.files.url("/a.png"), []))
    # One of the client's own dialect that fetches nothing is sent it inline too.
    for stream in (False, True):
        path, body, headers = openai("inline/echo", run.files.url("/a.png"))
        answer = run.ask((path, {**body, "stream": stream}, headers))
        url = run.sent()["messages"][0]["content"][1].get("image_url", {}).get("url")
        run.expect("inline in the same dialect", (verdict(answer, "openai", stream), url),
                   ("ok", f"data:image/png;base64,{png}"))
    answer = run.ask(openai("strict", run.files.url("/a.png")))
    run.expect("nothing is lost", (answer.status, len(run.files.asked)), (200, 1))
    rows = run.gateway.settled_rows()
    run.expect("rows", {(row["outcome"], row["error"]) for row in rows}, {("ok", "none")})


def redirected(run):
    answer = run.ask(openai("converse/echo", run.files.redirect("/a.png")))
    run.expect("a redirect", (answer.status, run.files.asked[-1]), (200, "/a.png"))
    other = Files()
    for to, why in [(other.url("/a.png"), "nothing is fetched from that host or port"),
                    ("http://169.254.169.254/latest", "it can't be reached from here"),
                    ("file:///etc/passwd", "its scheme is neither http nor https"),
                    (run.files.redirect(run.files.redirect(run.files.redirect(run.files.redirect("/a.png")))), "")]:
        answer = run.ask(openai("converse/echo", run.files.redirect(to)))
        run.refused(f"a redirect to {to[:40]}", answer, why, run.files.asked)
    run.expect("another port", other.asked, [])


def failures(run):
    for path, why in [("/none.png", "its server answered with status 404"), ("/lies.png", "it is no PNG, JPEG"),
                      ("/large.png", "it is too large")]:
        answer = run.ask(openai("converse/echo", run.files.url(path)))
        text = run.refused(path, answer, why, [path])
        run.expect(f"{path}, host", ("127.0.0.1" in text, "url_not_fetched" in text, path in text), (True, True, False))
    answer = run.ask(anthropic("converse/echo", run.files.url("/none.pdf")))
    run.expect("anthropic's words", (answer.status, answer.json()["error"]["type"]), (400, "invalid_request_error"))
    many = [run.files.url(f"/{n}.png") for n in range(17)]
    run.refused("too many", run.ask(openai("converse/echo", *many)), "at most 16")
    # One that can't be had leaves the request to an offer that fetches by itself.
    answer = run.ask(openai("either", run.files.url("/none.png")))
    run.expect("the next offer", (answer.status, answer.headers.get("x-outrigger-offer")), (200, "chat/echo"))


def limits(run):
    """A place in the limits comes first: who has none makes us fetch nothing."""
    answer = run.ask(openai("converse/echo", run.files.url("/a.png")), "spent")
    run.expect("a spent budget", (answer.status, answer.code(), run.files.asked), (402, "budget_exceeded", []))
    found = [run.ask(openai("converse/echo", run.files.url("/none.png")), "asked").status for _ in range(5)]
    run.expect("failures count as asked", found, [400, 400, 400, 429, 429])


def failover(run):
    """Fetched once, however many offers are tried."""
    run.ask(openai("chat/echo", "data:image/png;base64,"))
    run.files.asked.clear()
    run.partner.control("POST", "/rules", {"match": {"contains": "look"}, "do": {"status": 503}, "times": 1})
    path, body, headers = openai("twice", run.files.url("/a.png"))
    answer = asyncio.run(ask(run.gateway.port, (path, body, headers), run.keys["plain"]))
    run.expect("once for all tries", (answer.status, run.files.asked), (200, ["/a.png"]))
    run.expect("tries", answer.headers["x-outrigger-attempts"], "2")


def guarded(run):
    """`allow` reaches public addresses only, at the ports of the web."""
    told = set()
    for host in [f"127.0.0.1:{run.files.port}", "127.0.0.1", f"localhost:{free_port()}", "[::1]", "10.0.0.1", "169.254.169.254",
                 "[::ffff:127.0.0.1]", "nowhere.invalid"]:
        answer = run.ask(openai("converse/echo", f"http://{host}/a.png"))
        text = run.refused(host, answer, "was not fetched")
        told.add(text.split("was not fetched: ")[1].split('"')[0])
    run.expect("told alike", {it.split(".")[0] for it in told},
               {"it can't be reached from here", "nothing is fetched from that host or port"})
    for host in ["2130706433", "0x7f.1", "u:p@127.0.0.1", "127.0.0.1\\\\@example.com", "127.0.0.1%00.example.com"]:
        run.refused(host, run.ask(openai("converse/echo", f"http://{host}/a.png")), "the URL is not usable")


def never(run):
    """The default: nothing is fetched, and the client is told why the offer can't serve it."""
    answer = run.ask(openai("converse/echo", run.files.url("/a.png")))
    run.refused("refuse", answer, "this offer takes images and documents inline only")
    answer = run.ask(openai("either", run.files.url("/a.png")))
    run.expect("refuse, next offer", (answer.status, run.files.asked), (200, []))


def main():
    partner, files = Partner(), Files()
    faults, cases = [], 0
    runs = [("named", named(files), [fetched, redirected, failures, limits, failover]),
            ("open", "{fetch_urls: allow}", [guarded]), ("closed", "{retries: {max: 1}}", [never])]
    try:
        for folder, rules, parts in runs:
            gateway = Gateway(config(partner, rules), folder=folder)
            gateway.head = gateway.head.replace("limits: {", "limits: {body: 1MiB, ")
            gateway.write(config(partner, rules))
            gateway.start()
            try:
                run = Run(gateway, partner, files)
                for part in parts:
                    part(run)
                until(lambda: partner.stats()["in_flight"] == 0)
                faults += [f"{folder}: {it}" for it in run.faults + gateway.panics()]
                cases += run.cases
            finally:
                gateway.kill()
    finally:
        partner.stop()
    finish(faults, f"{cases} requests with URLs: fetched where allowed, from where allowed, once")


main()
