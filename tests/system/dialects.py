"""One question and its answer in each dialect that clients speak.

A dialect is made a question by `question(dialect, model, text, limit, stream, usage)`, temperature 0, as `client.ask` takes
it; `heard(dialect, answer, stream)` gives the text of the answer, whether it ended well, and its usage as (fresh input,
cached input, output), `None` if it doesn't say.
"""

import json

from client import chat, messages


def question(dialect, model, text, limit, stream, usage=False):
    return {
        "openai": openai_question, "anthropic": anthropic_question, "responses": responses_question,
        "gemini": gemini_question, "bedrock": bedrock_question, "cohere": cohere_question,
    }[dialect](model, text, limit, stream, usage)


def openai_question(model, text, limit, stream, usage):
    more = {"stream_options": {"include_usage": True}} if usage else {}
    return chat(model, text, stream=stream, max_tokens=limit, temperature=0, **more)


def anthropic_question(model, text, limit, stream, _):
    return messages(model, text, stream=stream, max_tokens=limit, temperature=0)


def responses_question(model, text, limit, stream, _):
    body = {"model": model, "input": text, "max_output_tokens": limit, "temperature": 0, "store": False}
    return "/v1/responses", {**body, "stream": stream}, {}


def gemini_question(model, text, limit, stream, _):
    body = {
        "contents": [{"role": "user", "parts": [{"text": text}]}],
        "generationConfig": {"maxOutputTokens": limit, "temperature": 0},
    }
    return f"/v1beta/models/{model}:" + ("streamGenerateContent?alt=sse" if stream else "generateContent"), body, {}


def bedrock_question(model, text, limit, stream, _):
    body = {
        "messages": [{"role": "user", "content": [{"text": text}]}],
        "inferenceConfig": {"maxTokens": limit, "temperature": 0},
    }
    return f"/model/{model.replace('/', '%2F')}/converse" + ("-stream" if stream else ""), body, {}


def cohere_question(model, text, limit, stream, _):
    _, body, _ = chat(model, text, stream=stream, max_tokens=limit, temperature=0)
    return "/v2/chat", body, {}


def events(answer):
    """The data of a stream's events, in server-sent events or in AWS's frames."""
    if answer.headers["content-type"].startswith("application/vnd.amazon.eventstream"):
        return list(frames(answer.body))
    lines = (line for line in answer.body.decode().splitlines() if line.startswith("data: "))
    return [json.loads(line[6:]) for line in lines if line != "data: [DONE]"]


def frames(body):
    """{event: data} of each frame: two lengths and a checksum, headers, data, a checksum."""
    at = 0
    while at < len(body):
        size, headers = (int.from_bytes(body[at + i : at + i + 4], "big") for i in (0, 4))
        names, found = body[at + 12 : at + 12 + headers], {}
        while names:
            name, rest = names[1 : 1 + names[0]], names[2 + names[0] :]  # a string's kind is one byte, 7
            long = int.from_bytes(rest[:2], "big")
            found[name.decode()], names = rest[2 : 2 + long].decode(), rest[2 + long :]
        yield {found[":event-type"]: json.loads(body[at + 12 + headers : at + size - 4])}
        at += size


def heard(dialect, answer, stream):
    parts = events(answer) if stream else [answer.json()]
    return {
        "openai": openai_heard, "anthropic": anthropic_heard, "responses": responses_heard,
        "gemini": gemini_heard, "bedrock": bedrock_heard, "cohere": cohere_heard,
    }[dialect](parts, stream)


def openai_heard(parts, stream):
    choices = [choice for part in parts for choice in part["choices"]]
    text = "".join(choice["delta" if stream else "message"].get("content") or "" for choice in choices)
    ended = [c["finish_reason"] for c in choices if c["finish_reason"]]
    used = [part["usage"] for part in parts if part.get("usage")]
    return text, meaning(*ended), openai_usage(used[-1]) if used else None


def openai_usage(it):
    cached = it.get("prompt_tokens_details", {}).get("cached_tokens", 0)
    return it["prompt_tokens"] - cached, cached, it.get("completion_tokens", 0)


def anthropic_heard(parts, stream):
    if not stream:
        body = parts[0]
        return body["content"][0]["text"], meaning(body["stop_reason"]), anthropic_usage(body["usage"])
    text = "".join(p["delta"]["text"] for p in parts if p["type"] == "content_block_delta")
    last = next(p for p in parts if p["type"] == "message_delta")
    first = next(p for p in parts if p["type"] == "message_start")
    used = anthropic_usage({**first["message"]["usage"], **last["usage"]})
    return text, meaning(last["delta"]["stop_reason"]), used


def anthropic_usage(it):
    return it["input_tokens"], it.get("cache_read_input_tokens", 0), it["output_tokens"]


def responses_heard(parts, stream):
    body = parts[-1]["response"] if stream else parts[0]
    text = "".join(c["text"] for item in body["output"] for c in item["content"])
    if stream and text != "".join(p["delta"] for p in parts if p["type"] == "response.output_text.delta"):
        raise SystemExit(f"responses: the end says {text!r}, and the pieces do not: {parts}")
    ended = (body.get("incomplete_details") or {}).get("reason") or body["status"]
    used = body["usage"]
    cached = used.get("input_tokens_details", {}).get("cached_tokens", 0)
    return text, meaning(ended), (used["input_tokens"] - cached, cached, used["output_tokens"])


def gemini_heard(parts, _):
    candidates = [c for part in parts for c in part.get("candidates", [])]
    text = "".join(p.get("text", "") for c in candidates for p in c.get("content", {}).get("parts", []))
    ended = [c["finishReason"] for c in candidates if c.get("finishReason")]
    used = parts[-1]["usageMetadata"]
    cached = used.get("cachedContentTokenCount", 0)
    return text, meaning(*ended), (used["promptTokenCount"] - cached, cached, used["candidatesTokenCount"])


def bedrock_heard(parts, stream):
    if stream:
        merged = {name: data for part in parts for name, data in part.items()}
        text = "".join(p["contentBlockDelta"]["delta"]["text"] for p in parts if "contentBlockDelta" in p)
        ended, used = merged["messageStop"]["stopReason"], merged["metadata"]["usage"]
    else:
        text = "".join(c["text"] for c in parts[0]["output"]["message"]["content"])
        ended, used = parts[0]["stopReason"], parts[0]["usage"]
    return text, meaning(ended), (used["inputTokens"], used.get("cacheReadInputTokens", 0), used["outputTokens"])


def cohere_heard(parts, stream):
    if stream:
        deltas = [p["delta"]["message"]["content"] for p in parts if p["type"] == "content-delta"]
        text, end = "".join(d["text"] for d in deltas), parts[-1]["delta"]
    else:
        text, end = "".join(c["text"] for c in parts[0]["message"]["content"]), parts[0]
    used = end["usage"]
    cached, billed = used.get("cached_tokens", 0), used["billed_units"]
    return text, meaning(end["finish_reason"]), (billed["input_tokens"] - cached, cached, billed["output_tokens"])


# How each dialect says that an answer was done, or that its limit cut it.
ENDINGS = {
    **dict.fromkeys(["stop", "end_turn", "completed", "STOP", "COMPLETE"], "done"),
    **dict.fromkeys(["length", "max_tokens", "max_output_tokens", "MAX_TOKENS"], "limit"),
}


def meaning(*ended):
    """What the one reason given means; what was said, if it is none of these."""
    return ENDINGS.get(ended[0], ended) if len(ended) == 1 else ended


# Where each dialect's errors say what went wrong.
PLACES = {
    **dict.fromkeys(["openai", "responses", "anthropic", "gemini"], "error"),
    **dict.fromkeys(["bedrock", "cohere"], "message"),
}
