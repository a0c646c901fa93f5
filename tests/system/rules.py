"""What a key may ask for, by its own capabilities and by its team's, and what may pass a money budget without a price.

Nothing that is refused reaches a partner, each refusal is in the ledger with its reason, and a reload changes it at
once.
"""

import asyncio
import json
import urllib.request

from client import DIALECTS, ask
from gateway import Gateway, Partner, finish, get, until

# By key: what it is made with, and what it may ask for.
ALL = ["fast", "smart", "a/echo", "b/lorem"]
KEYS = {
    "anyone": ([], ALL),
    "ci": (["--capability", "fast"], ["fast"]),
    "walled": (["--team", "walled"], ["smart"]),
    "both": (["--team", "walled", "--capability", "fast"], []),
    "other-team": (["--team", "open", "--capability", "fast", "--capability", "smart"], ["fast", "smart"]),
}


def config(base_url, walled="smart"):
    provider = f'{{type: openai, base_url: "{base_url}", key: env:PARTNER_KEY, models: [echo, lorem]}}'
    return (
        f"auth: {{keys: required}}\nproviders:\n  a: {provider}\n  b: {provider}\n"
        "capabilities:\n  fast: [a/echo]\n  smart: [a/lorem, b/lorem]\n  mixed: [a/echo, b/echo, b/lorem]\n"
        f"teams: {{walled: {{capabilities: [{walled}]}}}}\n"
        "budgets: {of-b: {provider: b, limit: 5 USD, per: day}}\n"
        "prices: {unpriced: reject, overrides: {b/lorem: {input: 1 USD per 1M, output: 1 USD per 1M}}}\n"
    )


def make(gateway, app, *args):
    return json.loads(gateway.run("key", "create", "--app", app, *args, "--json"))


def question(dialect, model, text, headers=None):
    path, body, more = DIALECTS[dialect](model, text)
    return path, body, {**more, **(headers or {})}


def models(port, secret, anthropic):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/models")
    request.add_header("authorization", f"Bearer {secret}")
    if anthropic:
        request.add_header("anthropic-version", "2023-06-01")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return [row["id"] for row in json.load(answer)["data"]]


def listed(gateway, name, secret, allowed, faults):
    """`/v1/models` lists what the key may use, and one of the others is refused by its own path too."""
    for anthropic in [False, True]:
        found = models(gateway.port, secret, anthropic)
        if sorted(set(found) & set(ALL)) != sorted(allowed) or (name != "anyone" and set(found) - set(allowed)):
            faults.append(f"{name} is shown {found}")
    for model in ALL:
        status, text = get(f"http://127.0.0.1:{gateway.port}/v1/models/{model}", secret)
        if status != (200 if model in allowed else 403):
            faults.append(f"{name} got {status} for /v1/models/{model}: {text}")


def asked(gateway, name, key, allowed, faults):
    """Served or refused, in both dialects; the refusal says what is allowed, and why is known afterwards."""
    for model in [*ALL, "echo"]:
        for dialect in DIALECTS:
            may = model in allowed
            answer = asyncio.run(ask(gateway.port, question(dialect, model, f"{name} {may}"), key["secret"]))
            wanted = (200, None) if may else (403, "model_not_allowed")
            if model == "echo":
                wanted = (404, "model_not_found")  # two providers bear it
            if (answer.status, answer.code()) != wanted:
                faults.append(f"{name}, {dialect}, {model}: {answer.status} {answer.body[:200]}")
            dry = question(dialect, model, "dry", {"x-outrigger-dry-run": "true"})
            told = asyncio.run(ask(gateway.port, dry, key["secret"]))
            if model != "echo" and (told.status != 200 or (told.json()["attempts"] == []) != (not may)):
                faults.append(f"{name}, {dialect}, {model}, dry: {told.status} {told.body[:200]}")
            if wanted[0] == 403:
                explained(gateway, answer, key, model, allowed, faults)


def explained(gateway, answer, key, model, allowed, faults):
    said = answer.body.decode()
    if any(f"`{other}`" not in said for other in allowed):
        faults.append(f"the refusal of {model} does not name {allowed}: {said}")
    for what in [[answer.headers["x-outrigger-request-id"]], [model, "--key", key["key"]["id"]]]:
        # Nobody waits for the row of a refusal: nothing is owed for it.
        why = until(lambda what=what: gateway.run("route", "why", *what, "--json", check=False))
        if "not_allowed" not in why and "not allowed" not in why:
            faults.append(f"route why {what}: {why}")


def reloaded(gateway, secret, base_url, faults):
    """The team's other capability is open and the former one shut as soon as the reload has answered."""
    gateway.write(config(base_url, walled="fast"))
    url = f"http://127.0.0.1:{gateway.admin}/v1/outrigger/reload"
    headers = {"authorization": f"Bearer {gateway.admin_token()}"}
    with urllib.request.urlopen(urllib.request.Request(url, method="POST", headers=headers), timeout=20) as answer:
        answer.read()
    for model, status in [("fast", 200), ("smart", 403)]:
        answer = asyncio.run(ask(gateway.port, question("openai", model, "reloaded True"), secret))
        if answer.status != status:
            faults.append(f"after the reload, {model}: {answer.status} {answer.body[:200]}")


def unpriced(gateway, secret, faults):
    """An offer without a price is left where its provider has a money budget, and served where it has none."""
    for model, status, offer in [("mixed", 200, "a/echo"), ("a/echo", 200, "a/echo"), ("b/echo", 402, None)]:
        answer = asyncio.run(ask(gateway.port, question("openai", model, "unpriced True"), secret))
        if (answer.status, answer.headers.get("x-outrigger-offer")) != (status, offer):
            faults.append(f"unpriced, {model}: {answer.status} {answer.headers} {answer.body[:200]}")


def main():
    partner = Partner()
    gateway = Gateway(config(partner.base_url))
    gateway.start()
    faults = []
    try:
        keys = {name: make(gateway, name, *args) for name, (args, _) in KEYS.items()}
        shown = {it["app"]: it["capabilities"] for it in json.loads(gateway.run("key", "ls", "--json"))["keys"]}
        if shown != {"anyone": None, "ci": ["fast"], "walled": None, "both": ["fast"], "other-team": ["fast", "smart"]}:
            faults.append(f"key ls shows {shown}")
        for name, (_, allowed) in KEYS.items():
            listed(gateway, name, keys[name]["secret"], allowed, faults)
            asked(gateway, name, keys[name], allowed, faults)
        reloaded(gateway, keys["walled"]["secret"], partner.base_url, faults)
        unpriced(gateway, keys["anyone"]["secret"], faults)
        rows = gateway.settled_rows()
        refused = [row for row in rows if row["refusal"] == "model_not_allowed"]
        tried = [row for row in rows if not row["refusal"]]
        arrivals = partner.stats()["arrivals"]
        if arrivals != len(tried) or any(row["outcome"] != "refused" for row in refused):
            faults.append(f"{len(tried)} attempts, {arrivals} arrivals, {len(refused)} refusals")
        gateway.run("ledger", "verify")
        faults += gateway.panics()
    finally:
        gateway.kill()
        partner.stop()
    finish(faults, f"{len(KEYS)} keys over {len(ALL)} names: {len(tried)} served, {len(refused)} refused and explained")


main()
