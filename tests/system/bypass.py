"""No way around the meter: each billable route, asked in every spelling of path, model, key and body that a reader behind
the gateway could take for the plain one, over HTTP/1.1 and HTTP/2, and what the gateway has no route for.

Nothing arrives at the partner with a key whose budget is used up, nor for a model that the key may not use; whatever
arrives with a good key is in the ledger, row by row.
"""

import asyncio
import json
import os
import re

from client import H2, Torn, head, pieces
from gateway import Gateway, Partner, attempts, finish

HERE = os.path.dirname(os.path.abspath(__file__))
TABLE = os.path.join(HERE, "../../crates/server/src/listen/route.rs")
# Routes that others have and we have not, or not to be asked so.
ELSEWHERE = [
    "/v1/images", "/v1/images/generate", "/v1/audio", "/v1/realtime", "/v1/rank", "/v2/moderations",
    "/v1/completions", "/v1/fine_tuning/jobs", "/v1/threads", "/v1/responses/compact",
    "/v1/complete", "/rerank", "/v1/chat", "/v1/embed", "/v1/generate", "/api/chat", "/api/generate", "/openai/v1/batches",
    "/anthropic/v1/messages/batches", "/model/{}/invoke", "/model/{}/invoke-with-response-stream", "/v1beta/models/{}:predict",
    "/v1beta/models/{}:batchGenerateContent", "/v1/publishers/anthropic/models/{}:rawPredict", "/passthrough/v1/chat/completions",
    "/v1/realtime/client_secrets", "/v1/realtime/calls", "/v1/realtime/sessions", "/openai/v1/realtime/client_secrets",
    "/proxy/mock/v1/chat/completions", "/mock/v1/chat/completions", "/v1/providers/mock/chat/completions",
]
TEXT = {"role": "user", "content": "x"}


def routes():
    """(path with one place for a model or none, action) of each route that is asked by POST."""
    with open(TABLE) as f:
        table = f.read().split("pub const ROUTES", 1)[1].split("];", 1)[0]
    found = re.findall(r'\b(post|google|google_stream|stream|pass)\(\s*"([^"]+)",?\s*(?:Action::(\w+))?', table)
    # What is refused whoever asks is asked for with the routes that are not there.
    found = [it for it in found if it[2] != "ClientSecret"]
    named = [(path, action or ("Pass" if kind == "pass" else "Chat")) for kind, path, action in found]
    last = [(re.sub(r"\*(?=.*\*)", "p", path).replace("*", "{}"), action) for path, action in named]
    if len(last) < 20:
        raise SystemExit(f"only {len(last)} routes found in {TABLE}")
    return last


def body(path, action, model):
    """A plain question for a route."""
    if action == "Pass":
        fields = {"rerank": {"query": "x", "documents": ["x"]}, "speech": {"input": "x", "voice": "alloy"}, "moderations": {"input": "x"}}
        return {"model": model, **fields.get(path.rsplit("/", 1)[1], {"prompt": "x"})}
    if "/model/" in path or path.startswith("/model"):
        said = [{"role": "user", "content": [{"text": "x"}]}]
        return {"input": {"converse": {"messages": said}}} if action == "CountTokens" else {"messages": said}
    if ":" in path:
        content = {"parts": [{"text": "x"}]}
        if path.endswith(":embedContent"):
            return {"content": content}
        if path.endswith(":batchEmbedContents"):
            return {"requests": [{"model": f"models/{model}", "content": content}]}
        return {"contents": [{"role": "user", **content}]}
    if path.endswith("/embed"):
        return {"model": model, "texts": ["x"], "input_type": "search_query", "embedding_types": ["float"]}
    if "embeddings" in path or "responses" in path:
        return {"model": model, "input": "x"}
    if path.endswith("/messages"):
        return {"model": model, "messages": [TEXT], "max_tokens": 5}
    return {"model": model, "messages": [TEXT]}


def model_names(name):
    """A model's name, and what somebody could take for it."""
    provider, short = name.split("/")
    return [
        name, name.upper(), name.title(), f"{provider}//{short}", f"{name}/", f" {name}", f"{name} ", f"{name}\u200b",
        f"{name}\0", f"./{name}", f"{provider}/../{name}", f"{provider}\\{short}", f"{provider}\u2215{short}",
        name.replace("o", "\u043e"), name.replace("e", "\uff45"), name.replace("e", "e\u0301"), name.replace("o", "%6f"), short,
        f"{name}:latest", f"{name}@1", f"models/{name}", f"openai/{name}", f"{name},other", f"{name}?x", f"{name}#x",
    ]


def paths(path):
    """A path, and what somebody could take for it."""
    return [
        path, f"{path}/", f"{path}//", f"/{path}", path.upper(), path.replace("/", "//", 2), f"/.{path}", f"/x/..{path}",
        f"{path};x=1", f"{path}%20", f"{path}%00", f"{path}?", f"{path}?x=1", f"{path}#x", path.replace("/v", "/%76"),
        path.replace("/", "\\"), path.replace("/", "%2F", 2).replace("%2F", "/", 1), f"http://127.0.0.1{path}", f"{path}/.",
        path.replace("/v1/", "/V1/").replace("/model/", "/MODEL/"),
    ]


def bearers(key):
    """How a key may be borne, and what somebody could take for that."""
    return [
        [("authorization", f"Bearer {key}")], [("Authorization", f"bearer {key}")], [("AUTHORIZATION", f"BEARER  {key}")],
        [("x-api-key", key)], [("api-key", key)], [("x-goog-api-key", key)], [("X-Api-Key", key), ("api-key", key)],
        [("authorization", key)], [("authorization", f"Basic {key}")], [("authorization", f"Bearer {key}"), ("authorization", f"Bearer {key}")],
        [("authorization", f"Bearer {key}, Bearer {key}")], [("authorization", f"Bearer {key}"), ("x-api-key", "sk-partner")],
        [("authorization", "Bearer sk-partner")], [("x-api-key", "sk-partner")], [("authorization", f"Bearer {key.upper()}")],
        [("authorization", f"Bearer {key[:-1]}")], [("cookie", f"key={key}")], [("proxy-authorization", f"Bearer {key}")], [],
    ]


def bodies(plain, model):
    """A body, and what could be read in two ways."""
    text = json.dumps(plain)
    other = json.dumps({"model": "free/echo"})[1:-1]
    return [
        text, text[:-1] + f", {other}}}", f"{{{other}, " + text[1:], text.replace('"model"', '"mod\\u0065l"'),
        text[:-1] + f', "mod\\u0065l": "free/echo"}}', text.replace('"model"', '"Model"'), f"[{text}]", text + text,
        "\ufeff" + text, text.replace(json.dumps(model), f'["{model}"]'), text[:-1] + ', "stream": "true"}', text[:-1] + ', "n": 3}',
        text[:-1] + ', "models": ["' + model + '"], "fallbacks": ["' + model + '"]}', text[:-1] + ', "service_tier": "flex", "batch": true}',
    ]


def forms(model):
    """(content type, form) of a plain form, and of what somebody could read in two ways."""
    sound = "RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data\0\0\0\0"
    field = 'content-disposition: form-data; name="model"'
    kind = "multipart/form-data; boundary=xx"

    def form(*parts):
        return "".join(f"--xx\r\n{head}\r\n\r\n{value}\r\n" for head, value in parts) + "--xx--\r\n"

    file = ('content-disposition: form-data; name="file"; filename="a.wav"\r\ncontent-type: audio/wav', sound)
    named = (field, model)
    yield kind, form(file, named)
    for parts in (
        [named, (field, "free/echo")], [(f"{field}\r\n ; name=x", model)], [(f'{field}; name="x"', model)], [(f"{field}\r\n{field}", model)],
        [(field.replace("model", "Model"), model)], [(field.replace("name=", "name*="), model)], [(field, f" {model}")], [(field, f"{model}\0")],
        [(f'content-disposition: form-data; filename="; name="model"', model)], [(f"{field}\r\ncontent-transfer-encoding: base64", model)],
    ):
        yield kind, form(file, *parts)
    yield kind, "x\r\n" + form(file, named)
    yield kind, form(file, named) + form((field, "free/echo"))
    yield kind + "; boundary=yy", form(file, named)
    yield kind.replace("multipart", "MULTIPART"), form(file, named)
    yield "multipart/mixed; boundary=xx", form(file, named)
    yield "application/json", form(file, named)


def questions(key, model):
    """(method, target, headers, body) of everything that is tried: one thing at a time is spelt otherwise."""
    plain = [("authorization", f"Bearer {key}"), ("anthropic-version", "2023-06-01")]
    for path, action in routes():
        target = path.format(model.replace("/", "%2F") if path.startswith("/model") else model)
        said = body(path, action, model)
        text = json.dumps(said)
        yield from (("POST", it, plain, text) for it in paths(target))
        yield from (("POST", target, it + plain[1:], text) for it in bearers(key))
        yield from (("POST", f"{target}?key={it}", plain[1:], text) for it in (key, "sk-partner"))
        yield from (("POST", target, plain, it) for it in bodies(said, model))
        for name in model_names(model):
            if "{}" in path:
                yield "POST", path.format(name.replace(" ", "%20").replace("\0", "%00")), plain, text
            yield "POST", target, plain, json.dumps(body(path, action, name))
        more = [("x-http-method-override", "GET"), ("x-original-url", "/livez"), ("x-outrigger-dry-run", "true")]
        yield from (("POST", target, [*plain, it], text) for it in more)
        yield from ((method, target, plain, text) for method in ("GET", "PUT", "PATCH", "DELETE", "OPTIONS", "post"))
    for path, _ in routes():
        if "/audio/t" in path:
            yield from (("POST", path, [*plain, ("content-type", kind)], text) for kind, text in forms(model))
    for path in ELSEWHERE:
        for method in ("POST", "GET"):
            yield method, path.format(model), plain, json.dumps({"model": model, "messages": [TEXT], "input": "x", "prompt": "x"})
    upgrade = [("connection", "upgrade"), ("upgrade", "websocket"), ("sec-websocket-key", "eA=="), ("sec-websocket-version", "13")]
    yield from (("GET", it, plain + upgrade, "") for it in ("/v1/realtime?model=" + model, "/v1/responses", "/v1/live"))


async def ask(port, question):
    """The status, 0 when the connection is closed instead."""
    method, target, headers, text = question
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    said = text.encode()
    lines = [f"{method} {target} HTTP/1.1", f"host: 127.0.0.1:{port}", "connection: close"]
    if not any(name == "content-type" for name, _ in headers):
        lines.append("content-type: application/json")
    lines += [f"{name}: {value}" for name, value in headers if name != "connection"] + [f"content-length: {len(said)}", "", ""]
    try:
        writer.write("\r\n".join(lines).encode() + said)
        answer = await asyncio.wait_for(head(reader), 20)
        async for _ in pieces(reader, answer):
            pass
        return answer.status
    except (OSError, asyncio.IncompleteReadError, Torn):
        return 0
    finally:
        writer.close()


async def all_of(port, asked):
    """Statuses, some at a time."""
    turn = asyncio.Semaphore(16)

    async def one(question):
        async with turn:
            return await ask(port, question)

    return await asyncio.gather(*[one(it) for it in asked])


async def by_h2(port, key, model):
    """The plain questions over one HTTP/2 connection."""
    connection = H2(port)
    await connection.open()
    billable = [it for it in routes() if it[1] != "CountTokens"]
    for number, (path, action) in enumerate(billable):
        target = path.format(model.replace("/", "%2F") if path.startswith("/model") else model)
        connection.request(2 * number + 1, (target, body(path, action, model), {"anthropic-version": "2023-06-01"}), key)
        try:
            await asyncio.wait_for(connection.data(2 * number + 1), 20)
        except Torn:
            pass
    return len(billable)


def config(base_url):
    root = base_url.removesuffix("/v1")
    return (
        "auth: {keys: required}\nproviders:\n"
        f'  mock: {{type: openai, base_url: "{base_url}", key: env:PARTNER_KEY, models: [echo, lorem, embed]}}\n'
        f'  free: {{type: cohere, base_url: "{root}/v2", key: env:PARTNER_KEY, models: [echo]}}\n'
        "capabilities: {fast: [free/echo]}\nteams: {walled: {capabilities: [fast]}}\nprices: {unpriced: allow}\n"
        "routing: {circuit: {open_at: 100%, over: 64 calls, probe_after: 1s}}\n"
        "budgets: {spent: {app: spent, limit: 1 requests, per: month}}\n"
    )


def main():
    partner = Partner()
    gateway = Gateway(config(partner.base_url))
    gateway.start()
    faults, tried = [], 0
    try:
        spent, good = gateway.key("spent"), gateway.key("good")
        made = json.loads(gateway.run("key", "create", "--app", "walled", "--team", "walled", "--json"))
        plain = ("POST", "/v1/chat/completions", [("authorization", f"Bearer {spent}")], json.dumps({"model": "mock/echo", "messages": [TEXT]}))
        if asyncio.run(ask(gateway.port, plain)) != 200:
            raise SystemExit("the only request of the spent key was refused")
        for name, key, model in [("spent", spent, "mock/echo"), ("walled", made["secret"], "mock/lorem")]:
            before = partner.stats()["arrivals"]
            asked = list(questions(key, model))
            statuses = asyncio.run(all_of(gateway.port, asked))
            asyncio.run(by_h2(gateway.port, key, model))
            tried += len(asked)
            if arrived := partner.stats()["arrivals"] - before:
                through = [it[:3] for it, status in zip(asked, statuses) if status == 200]
                faults.append(f"{name}: {arrived} requests arrived, among those answered {[it[:2] for it in through[:20]]}")
        before, rows = partner.stats()["arrivals"], len(attempts(gateway.settled_rows()))
        asked = list(questions(good, "mock/echo"))
        statuses = asyncio.run(all_of(gateway.port, asked))
        plainly = asyncio.run(by_h2(gateway.port, good, "mock/echo"))
        tried += len(asked)
        arrived = partner.stats()["arrivals"] - before
        metered = len(attempts(gateway.settled_rows())) - rows
        if arrived != metered or arrived < plainly:
            faults.append(f"with a good key {arrived} requests arrived, and the ledger has {metered}")
        dry = ("x-outrigger-dry-run", "true")
        answered = {it[1] for it, status in zip(asked, statuses) if status == 200 and dry not in it[2]}
        for path, action in routes():
            target = path.format("mock%2Fecho" if path.startswith("/model") else "mock/echo")
            # Pictures are not sent here, and `mock` is no Cohere.
            elsewhere = path.endswith(("/edits", "/variations")) or path == "/v2/rerank"
            if action in ("Chat", "Pass") and not elsewhere and target not in answered:
                faults.append(f"{target}: the plain question is not answered, so that nothing was tried")
        gateway.run("ledger", "verify")
        faults += gateway.panics()
    finally:
        gateway.kill()
        partner.stop()
    finish(faults, f"{tried} spellings of {len(routes())} routes: {arrived} arrived, all of them metered, none with a spent or a walled key")


main()
