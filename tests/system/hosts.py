"""Hosts of OpenAI's protocol with ways of their own: what clients of other dialects ask is written so that each takes it."""

import asyncio
import json

from client import ask, messages
from gateway import Gateway, Partner, finish

HOSTS = ["mistral", "groq", "databricks", "fireworks", "deepseek", "xai", "openrouter", "together", "llama-cpp-python"]
PLACE = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
SCHEMA = {
    "type": "object", "properties": {"at": {"$ref": "#/$defs/place"}}, "required": ["at"],
    "additionalProperties": False, "$defs": {"place": PLACE},
}
TOOL = {"name": "weather", "description": "Says the weather.", "input_schema": SCHEMA, "strict": True}
FORMAT = {"format": {"type": "json_schema", "schema": SCHEMA}}


def call(number):
    return {"type": "tool_use", "id": f"toolu_{number}", "name": "weather", "input": {"at": {"city": "Oslo"}}}


def result(number):
    return {"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": f"{number} degrees"}


def said(role, *content):
    return {"role": role, "content": list(content)}


TURNS = [
    said("user", {"type": "text", "text": "How warm is it?"}),
    said("assistant", {"type": "text", "text": "I look."}, call(1), call(2)),
    said("user", result(1), result(2), {"type": "text", "text": "And so?"}),
]
QUESTIONS = {
    "a conversation with tools": dict(messages=TURNS, tools=[TOOL], tool_choice={"type": "any"}, stop_sequences=["#END"]),
    "thinking": dict(messages=TURNS, tools=[TOOL], thinking={"type": "enabled", "budget_tokens": 1024}, max_tokens=4000),
    "a schema": dict(output_config=FORMAT, system="Be brief.", metadata={"user_id": "u1"}),
    "a schema beside tools": dict(output_config=FORMAT, tools=[TOOL]),
    "a beginning": dict(messages=[said("user", {"type": "text", "text": "Count"}), said("assistant", {"type": "text", "text": "One,"})]),
}
GRAMMAR = {"type": "custom", "name": "patch", "description": "Applies a patch."}
CHOICE = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "custom", "name": "patch"}]}
RESPONSES = {
    "input": [
        {"type": "message", "role": "developer", "content": "Be brief."},
        {"type": "message", "role": "user", "content": "Hello"},
    ],
    "tools": [GRAMMAR], "tool_choice": CHOICE, "parallel_tool_calls": False, "store": False, "prompt_cache_key": "k",
    "metadata": {"a": "b"}, "safety_identifier": "u1", "service_tier": "auto",
}


async def main():
    faults, asked = [], 0
    partners = {host: Partner() for host in HOSTS}
    lines = ["prices: {unpriced: allow}", "providers:"]
    for host, partner in partners.items():
        partner.rule({"as": host})
        lines.append(
            f'  {host}: {{base_url: "{partner.base_url}", key: env:PARTNER_KEY, models: [echo], dialects: [openai-chat]}}'
        )
    gateway = Gateway("\n".join(lines) + "\n")
    gateway.start()
    for host in HOSTS:
        for name, body in QUESTIONS.items():
            for stream in (False, True):
                path, base, headers = messages(f"{host}/echo", "Hello", stream)
                answer = await ask(gateway.port, (path, {**base, **body}, headers))
                asked += 1
                if answer.status != 200 or (stream and b"message_stop" not in answer.body):
                    faults.append(f"{host}, {name}, stream {stream}: HTTP {answer.status}: {answer.body[-400:]}")
        for stream in (False, True):
            body = {"model": f"{host}/echo", "stream": stream, **RESPONSES}
            answer = await ask(gateway.port, ("/v1/responses", body, {}))
            asked += 1
            if answer.status != 200 or (stream and b"response.completed" not in answer.body):
                faults.append(f"{host}, Responses, stream {stream}: HTTP {answer.status}: {answer.body[-400:]}")

    # What was thought and signed comes back to the reseller as it came from it.
    thinking = dict(thinking={"type": "enabled", "budget_tokens": 1024}, max_tokens=4000)
    path, base, headers = messages("openrouter/echo", "Think", **thinking)
    first = (await ask(gateway.port, (path, base, headers))).json()
    turns = [base["messages"][0], {"role": "assistant", "content": first["content"]}, {"role": "user", "content": "On"}]
    await ask(gateway.port, (path, {**base, "messages": turns}, headers))
    last = partners["openrouter"].control("GET", "/requests")[-1]
    sent = json.loads(last["body"])["messages"][1].get("reasoning_details")
    if not sent or sent[0].get("signature") != "c2lnbmVk" or sent[0].get("format") != "anthropic-claude-v1":
        faults.append(f"signed reasoning came back as {sent}")

    # Cached and thought tokens, however a host spells them.
    usage = {"input": 100, "cached": 40, "output": 50, "reasoning": 20}
    for host in ["xai", "deepseek", "together", "openrouter"]:
        partner = partners[host]
        partner.control("DELETE", "/rules")
        partner.rule({"as": host, "usage": usage})
        for stream in (False, True):
            answer = await ask(gateway.port, messages(f"{host}/echo", f"usage of {host}", stream))
            if answer.status != 200:
                faults.append(f"{host}, usage: HTTP {answer.status}")
    rows = gateway.settled_rows()
    for row in rows[-8:]:
        told = [row[name] for name in ("input", "cache_read", "output", "reasoning")]
        if told != [100, 40, 30, 20]:
            faults.append(f"{row['offer']}: {told}")
    gateway.kill()
    for partner in partners.values():
        partner.stop()
    finish(faults, f"{asked} requests to {len(HOSTS)} hosts, each as strict as its own kind")


asyncio.run(main())
