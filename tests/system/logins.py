"""A provider that wants tokens: many requests ask for one, it is renewed in time, and a dead log-in service is no outage."""

import asyncio
import json
import os
import signal
import time

from client import ask, chat, messages
from gateway import Gateway, Partner, finish, until

PATH = "/computeMetadata/v1/instance/service-accounts/default/token"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
LIFE = 4
# How long what must happen may take, in seconds.
PATIENCE = 60
CONFIG = """prices: {{unpriced: allow}}
providers:
  vertex:
    google: {{credentials: metadata}}
    base_url: "{root}/v1/projects/ada/locations/europe-west4"
    models: [echo, claude/echo]
  second: {{type: openai, base_url: "{second}", key: env:PARTNER_KEY, models: [echo]}}
capabilities:
  use: [vertex/echo, second/echo]
routing:
  circuit: {{probe_after: 1s}}
"""


MACHINE, STS, ACCOUNT = "/metadata/identity/oauth2/token", "/google/sts", "svc@ada.iam.gserviceaccount.com"
AUDIENCE = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q"
SUBJECT = "urn:ietf:params:oauth:token-type:jwt"
MACHINES = """prices: {{unpriced: allow}}
providers:
  azure: {{type: azure-openai, base_url: "{root}/v1", models: [echo], azure: {{credentials: managed{identity}}}}}
  google: {{type: vertex, base_url: "{root}/v1/projects/ada/locations/eu", models: [echo], google: {{credentials: "file:external.json"}}}}
  aws: {{type: bedrock, base_url: "{root}", region: eu-west-1, models: [echo], aws: {{profile: models}}}}
"""


async def machines(faults):
    """Managed identities, external accounts and roles that are taken on: asked for once each, and kept over a reload."""
    issuer = Partner(plain=True)
    root = issuer.base_url.removesuffix("/v1")
    impersonated = f"/v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken"
    issuer.control("POST", "/issuer", {
        "azure": {"client_id": "app", "scope": "https://cognitiveservices.azure.com/.default"},
        "google": {"email": ACCOUNT, "scope": SCOPE, "external": {"audience": AUDIENCE, "type": SUBJECT, "token": "a.b.c"}},
        "aws": {"pair": "AKIA1:s/e+c", "arn": "arn:aws:iam::1:role/models"},
    })
    gateway = Gateway(
        MACHINES.format(root=root, identity=""), folder="machines",
        env={
            "AZURE_POD_IDENTITY_AUTHORITY_HOST": root, "AWS_ENDPOINT_URL_STS": root, "AWS_CONFIG_FILE": "aws-config",
            "AWS_SHARED_CREDENTIALS_FILE": "aws-none",
        },
    )
    def put(name, text):
        with open(os.path.join(gateway.folder, name), "w") as file:
            file.write(text)
    put("subject", "a.b.c")
    put("external.json", json.dumps({
        "type": "external_account", "audience": AUDIENCE, "subject_token_type": SUBJECT, "token_url": root + STS,
        "credential_source": {"file": "subject"}, "service_account_impersonation_url": root + impersonated,
    }))
    put("aws-config", "[profile models]\nrole_arn = arn:aws:iam::1:role/models\nsource_profile = base\n"
        "[profile base]\naws_access_key_id = AKIA1\naws_secret_access_key = s/e+c\n")
    gateway.start()

    async def all_three(when, identities):
        for offer in ["azure/echo", "google/echo", "aws/echo"]:
            answer = await ask(gateway.port, chat(offer, when))
            if answer.status != 200:
                faults.append(f"{offer}, {when}: HTTP {answer.status}: {answer.body[:300]}")
        by_path = issuer.stats()["by_path"]
        asked = [by_path.get(path, 0) for path in (MACHINE, STS, impersonated, "/")]
        if asked != [identities, 1, 1, 1]:
            faults.append(f"{when}: asked {asked} times")

    async def reload(number, identity):
        gateway.write(MACHINES.format(root=root, identity=identity))
        gateway.process.send_signal(signal.SIGHUP)
        if not until(lambda: gateway.logged(1000).count("configuration reloaded") >= number, PATIENCE):
            faults.append("the reload never came")

    await all_three("at first", 1)
    await all_three("again", 1)
    await reload(1, "}, timeouts: {idle: 30s")
    await all_three("after a reload", 1)
    await reload(2, ", client_id: app")
    await all_three("with another identity", 2)
    log = gateway.logged(100_000)
    for secret in ("token-", "s/e+c", "a.b.c"):
        if secret in log:
            faults.append(f"{secret} is in the log")
    gateway.kill()
    issuer.stop()


async def main():
    faults = []
    await machines(faults)
    issuer, second = Partner(plain=True), Partner()
    root = issuer.base_url.removesuffix("/v1")
    host = root.removeprefix("http://")
    arm = lambda life: issuer.control("POST", "/issuer", {"life_seconds": life, "google": {"scope": SCOPE}})
    arm(3600)
    asked = lambda: issuer.stats()["by_path"].get(PATH, 0)
    refused = lambda: issuer.stats()["by_status"].get("401", 0)
    gateway = Gateway(CONFIG.format(root=root, second=second.base_url), env={"GCE_METADATA_HOST": host})
    gateway.start()

    async def serve(text):
        answer = await ask(gateway.port, chat("use", text))
        if answer.status != 200:
            faults.append(f"{text}: HTTP {answer.status}: {answer.body[:300]}")
        return answer.headers.get("x-outrigger-offer")

    # Many at once, on several threads: one question.
    served = await asyncio.gather(*(serve(f"burst {n}") for n in range(60)))
    if set(served) != {"vertex/echo"} or asked() != 1:
        faults.append(f"60 at once asked {asked()} times and were served by {set(served)}")

    # Claude is asked below the same address, in its own dialect and with the same token.
    path = "/v1/projects/ada/locations/europe-west4/publishers/anthropic/models/claude%2Fecho:"
    ends = [(chat, False, b"to Claude"), (chat, True, b"[DONE]"), (messages, False, b"to Claude"), (messages, True, b"message_stop")]
    for form, stream, end in ends:
        answer = await ask(gateway.port, form("vertex/claude/echo", "to Claude", stream))
        if answer.status != 200 or end not in answer.body:
            faults.append(f"Claude, {form.__name__}, {stream}: HTTP {answer.status}: {answer.body[:300]}")
    claude = [issuer.stats()["by_path"].get(path + verb, 0) for verb in ("rawPredict", "streamRawPredict")]
    if claude != [2, 2] or asked() != 1:
        faults.append(f"Claude was asked {claude} times, and {asked()} tokens were asked for")

    # A short life: renewed while requests go on, and none of them is refused.
    gateway.kill()
    arm(LIFE)
    gateway.start()
    before, loops, end = asked(), 0, time.monotonic() + PATIENCE
    while asked() < before + 3 and time.monotonic() < end:
        loops += 1
        offer = await serve(f"steady {loops}")
        if offer != "vertex/echo":
            faults.append(f"steady {loops}: served by {offer}")
            break
    if refused():
        faults.append(f"{refused()} requests came with a token that was over")
    if asked() < before + 3:
        faults.append(f"not renewed within {loops} requests")

    # The service dies: the old token serves to its end, then the other offer does, and nobody sees a failure.
    issuer.control("POST", "/rules", {"match": {"path": PATH}, "do": {"status": 500}})
    over, n, end = False, 0, time.monotonic() + PATIENCE
    while not over and time.monotonic() < end:
        over, n = await serve(f"dead {n}") == "second/echo", n + 1
    if not over:
        faults.append("the other offer never served")
    dead = asked()
    served = await asyncio.gather(*(serve(f"paused {n}") for n in range(60)))
    if set(served) != {"second/echo"} or asked() > dead + 4:
        faults.append(f"in a pause {asked() - dead} questions were asked; served by {set(served)}")

    # And comes back.
    issuer.control("DELETE", "/rules")
    back = False
    for n in range(6_000):
        back = await serve(f"back {n}") == "vertex/echo"
        if back:
            break
        await asyncio.sleep(0.01)
    if not back:
        faults.append("the provider did not come back")
    log = gateway.logged(100_000)
    if "token-" in log:
        faults.append("a token is in the log")
    if "no credential for a provider" not in log:
        faults.append("the failure is not in the log")
    gateway.kill()
    issuer.stop()
    second.stop()
    finish(faults, f"60 at once asked once; {loops} requests over three renewals; failed over and back")


asyncio.run(main())
