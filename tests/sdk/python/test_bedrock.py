"""The AWS SDK for Python (boto3) against a base URL: Converse and ConverseStream."""

import json
import os
import unittest

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError

from common import API_KEY, BASE_URL, CLOCK, GATEWAY, PNG, PREFIX, PROVIDER, SPENT_KEY, WEATHER
from common import Marked, gateway_only, model, needs_provider, unless_provider

import base64

# This SDK adds /model/... by itself.
ROOT = BASE_URL.removesuffix("/v1")
PAIR = os.environ.get("SDK_AWS_PAIR", ":")
SPENT_PAIR = os.environ.get("SDK_SPENT_PAIR")
TOOLS = [
    {"toolSpec": {"name": "weather", "description": "Forecast", "inputSchema": {"json": WEATHER}}},
    {"toolSpec": {"name": "clock", "description": "Local time", "inputSchema": {"json": CLOCK}}},
]
IMAGE = base64.b64decode(PNG)


def signed(access_key_id, secret, retries=0, token=None):
    return boto3.client(
        "bedrock-runtime",
        endpoint_url=ROOT,
        region_name="us-east-1",
        aws_access_key_id=access_key_id,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=Config(retries={"total_max_attempts": retries + 1, "mode": "standard"}, read_timeout=20),
    )


def with_key(key, retries=0):
    """The SDK refuses to send bearer keys over plain HTTP: the header is put in place of the signature."""
    client = signed("none", "none", retries)

    def put(request, **_):
        request.headers["Authorization"] = f"Bearer {key}"

    client.meta.events.register("before-send.bedrock-runtime", put)
    return client


def user(text):
    return [{"role": "user", "content": [{"text": text}]}]


class BedrockSuite(Marked):
    def setUp(self):
        super().setUp()
        self.client = with_key(API_KEY)

    def ask(self, name="echo", messages=None, max_tokens=500, **more):
        config = {"maxTokens": max_tokens, **more.pop("inferenceConfig", {})}
        messages = messages or user(f"hello {self.mark}")
        return {"modelId": model(name), "messages": messages, "inferenceConfig": config, **more}

    def converse(self, *args, **more):
        return self.client.converse(**self.ask(*args, **more))

    def text(self, *args, **more):
        content = self.converse(*args, **more)["output"]["message"]["content"]
        return "".join(block.get("text", "") for block in content)

    def stream(self, *args, **more):
        return self.client.converse_stream(**self.ask(*args, **more))["stream"]

    def gathered(self, *args, **more):
        """A stream's blocks put together, its stop reason and its metadata."""
        blocks, stop, metadata = {}, None, None
        for event in self.stream(*args, **more):
            if "contentBlockStart" in event:
                start = event["contentBlockStart"]
                blocks[start["contentBlockIndex"]] = {"input": "", **start["start"]["toolUse"]}
            if "contentBlockDelta" in event:
                delta = event["contentBlockDelta"]
                block = blocks.setdefault(delta["contentBlockIndex"], {})
                for kind, value in delta["delta"].items():
                    value = value if kind == "text" else next(iter(value.values()))
                    key = {"toolUse": "input", "reasoningContent": "reasoning"}.get(kind, kind)
                    block[key] = block.get(key, type(value)()) + value
            stop = event.get("messageStop", {}).get("stopReason", stop)
            metadata = event.get("metadata", metadata)
        return list(blocks.values()), stop, metadata

    # -- whole answers

    def test_message(self):
        answer = self.converse()
        self.assertEqual(answer["output"]["message"], {"role": "assistant", "content": [{"text": f"hello {self.mark}"}]})
        self.assertEqual(answer["stopReason"], "end_turn")
        usage = answer["usage"]
        self.assertEqual((usage["inputTokens"], usage["outputTokens"], usage["totalTokens"]), (11, 5, 16))
        self.assertIn("latencyMs", answer["metrics"])

    def test_system_and_earlier_turns(self):
        turns = [
            {"role": "user", "content": [{"text": "one"}]},
            {"role": "assistant", "content": [{"text": "two"}]},
            {"role": "user", "content": [{"text": f"three {self.mark}"}]},
        ]
        self.assertEqual(self.text(messages=turns, system=[{"text": "be brief"}]), f"three {self.mark}")

    def test_limit_ends_in_max_tokens(self):
        answer = self.converse("lorem", user(f"90 {self.mark}"), max_tokens=7)
        self.assertEqual((answer["stopReason"], answer["usage"]["outputTokens"]), ("max_tokens", 7))

    def test_stop_sequence(self):
        answer = self.converse(
            messages=user(f"before STOP after {self.mark}"), inferenceConfig={"stopSequences": ["STOP"]}
        )
        self.assertEqual(answer["output"]["message"]["content"][0]["text"], "before ")
        # OpenAI and Gemini do not tell that a sequence stopped it.
        expected = "end_turn" if PROVIDER in ("openai", "gemini", "oci") else "stop_sequence"
        self.assertEqual(answer["stopReason"], expected)

    @unless_provider("cohere", "Cohere has no word for a refusal")
    def test_refusal(self):
        self.assertEqual(self.converse("refusal")["stopReason"], "content_filtered")

    def test_sampling(self):
        config = {"temperature": 0.5, "topP": 0.9} if PROVIDER == "bedrock" else {"temperature": 0.5}
        if PROVIDER == "anthropic":
            # That version of its API refuses sampling, so the gateway leaves it out.
            config = {"temperature": 0.5, "topP": 0.9}
        self.assertEqual(self.text(inferenceConfig=config), f"hello {self.mark}")

    @needs_provider("bedrock")
    def test_cache_buckets(self):
        system = [{"text": "word " * 2000}, {"cachePoint": {"type": "default", "ttl": "1h"}}]
        usage = self.converse(system=system)["usage"]
        self.assertGreater(usage["cacheWriteInputTokens"], 2000)
        self.assertEqual(usage["cacheReadInputTokens"], 0)
        turns = user("a") + [{"role": "assistant", "content": [{"text": "b"}]}] + user(self.mark)
        again = self.converse(messages=turns, system=system)["usage"]
        self.assertEqual(again["cacheReadInputTokens"], usage["cacheWriteInputTokens"])

    # -- streams

    def test_stream(self):
        blocks, stop, metadata = self.gathered()
        self.assertEqual([b["text"] for b in blocks], [f"hello {self.mark}"])
        self.assertEqual(stop, "end_turn")
        self.assertEqual((metadata["usage"]["inputTokens"], metadata["usage"]["outputTokens"]), (11, 5))

    def test_order_of_events(self):
        kinds = [next(iter(event)) for event in self.stream()]
        order = list(dict.fromkeys(kinds))
        expected = ["messageStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata"]
        self.assertEqual(order, expected)

    def test_unicode_survives_streaming(self):
        text = "naïve 日本語 😀 \u2028 e\u0301 " + self.mark
        self.assertEqual(self.gathered(messages=user(text))[0][0]["text"], text)

    # -- tools

    def test_a_forced_tool(self):
        config = {"tools": TOOLS, "toolChoice": {"tool": {"name": "clock"}}}
        answer = self.converse(toolConfig=config)
        self.assertEqual(answer["stopReason"], "tool_use")
        calls = [b["toolUse"] for b in answer["output"]["message"]["content"]]
        self.assertEqual([(c["name"], c["input"]) for c in calls], [("clock", {"zone": "some zone"})])

    def test_parallel_tools_and_their_results(self):
        turns = user(f"plan {self.mark}")
        answer = self.converse("tools", turns, toolConfig={"tools": TOOLS})
        message = answer["output"]["message"]
        calls = [b["toolUse"] for b in message["content"] if "toolUse" in b]
        self.assertEqual([c["name"] for c in calls], ["weather", "clock"])
        results = [
            {"toolResult": {"toolUseId": calls[0]["toolUseId"], "content": [{"text": "rain"}]}},
            {"toolResult": {"toolUseId": calls[1]["toolUseId"], "content": [{"json": {"hour": 12}}]}},
        ]
        turns = turns + [message, {"role": "user", "content": results}]
        final = self.converse("tools", turns, toolConfig={"tools": TOOLS})
        text = final["output"]["message"]["content"][0]["text"]
        self.assertEqual(text.replace(" ", ""), 'weather:rain\nclock:{"hour":12}')
        self.assertEqual(final["stopReason"], "end_turn")

    def test_a_failed_tool(self):
        turns = user(f"plan {self.mark}")
        config = {"tools": TOOLS, "toolChoice": {"tool": {"name": "clock"}}}
        message = self.converse("tools", turns, toolConfig=config)["output"]["message"]
        id = message["content"][0]["toolUse"]["toolUseId"]
        result = {"toolUseId": id, "content": [{"text": "no such zone"}], "status": "error"}
        turns = turns + [message, {"role": "user", "content": [{"toolResult": result}]}]
        text = self.text("tools", turns, toolConfig={"tools": TOOLS})
        self.assertEqual(text.lower(), "clock: error: no such zone")

    def test_streamed_tools(self):
        blocks, stop, _ = self.gathered("tools", toolConfig={"tools": TOOLS})
        self.assertEqual(stop, "tool_use")
        calls = [(b["name"], json.loads(b["input"])) for b in blocks if "name" in b]
        self.assertEqual(
            calls, [("weather", {"city": "some city", "days": 7}), ("clock", {"zone": "some zone"})]
        )

    # -- structured output, images, documents

    def test_schema(self):
        schema = {"schema": json.dumps(WEATHER), "name": "forecast"}
        format = {"type": "json_schema", "structure": {"jsonSchema": schema}}
        text = self.text("json", outputConfig={"textFormat": format})
        self.assertEqual(json.loads(text), {"city": "some city", "days": 7})

    def test_image(self):
        content = [{"image": {"format": "png", "source": {"bytes": IMAGE}}}, {"text": self.mark}]
        self.assertIn("image: png 1x1", self.text(messages=[{"role": "user", "content": content}]))

    @unless_provider("cohere", "Cohere takes plain text documents only")
    def test_document(self):
        source = {"bytes": b"%PDF-1.4 tiny"}
        content = [{"document": {"format": "pdf", "name": "map", "source": source}}, {"text": self.mark}]
        text = self.text(messages=[{"role": "user", "content": content}])
        self.assertIn("13 bytes", text)

    # -- reasoning

    @unittest.skipIf(PROVIDER in ("openai", "responses", "gemini", "cohere", "oci"), "bound to the vendor that signs")
    def test_reasoning_goes_back_with_tool_results(self):
        turns = user(self.mark)
        fields = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
        more = {"toolConfig": {"tools": TOOLS}, "additionalModelRequestFields": fields, "max_tokens": 4000}
        message = self.converse("tools", turns, **more)["output"]["message"]
        self.assertEqual([next(iter(b)) for b in message["content"]], ["reasoningContent", "toolUse", "toolUse"])
        self.assertTrue(message["content"][0]["reasoningContent"]["reasoningText"]["signature"])
        results = [
            {"toolResult": {"toolUseId": b["toolUse"]["toolUseId"], "content": [{"text": "fine"}]}}
            for b in message["content"]
            if "toolUse" in b
        ]
        turns = turns + [message, {"role": "user", "content": results}]
        content = self.converse("tools", turns, **more)["output"]["message"]["content"]
        self.assertEqual(content[-1]["text"], "weather: fine\nclock: fine")

    def test_effort_streamed(self):
        blocks, _, metadata = self.gathered(outputConfig={"effort": "low"}, max_tokens=4000)
        self.assertEqual(blocks[-1]["text"], f"hello {self.mark}")
        if PROVIDER == "bedrock":
            self.assertIn("reasoning", blocks[0])
        self.assertGreaterEqual(metadata["usage"]["outputTokens"], 5)

    # -- counting

    @needs_provider("bedrock")
    def test_count_tokens(self):
        input = {"converse": {"messages": user(f"hello {self.mark}")}}
        self.assertEqual(self.client.count_tokens(modelId=model("echo"), input=input)["inputTokens"], 11)

    @needs_provider("anthropic")
    def test_count_tokens_of_a_claude_body(self):
        input = {"invokeModel": {"body": json.dumps(self.claude(max_tokens=500))}}
        self.assertEqual(self.client.count_tokens(modelId=model("echo"), input=input)["inputTokens"], 11)

    # -- Claude bodies

    def claude(self, text="hello {}", **more):
        messages = [{"role": "user", "content": text.format(self.mark)}]
        return {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 500, "messages": messages, **more}

    def invoke(self, name="echo", body=None, client=None):
        body = json.dumps(body or self.claude())
        answer = (client or self.client).invoke_model(modelId=model(name), body=body)
        self.assertEqual(answer["contentType"], "application/json")
        return json.load(answer["body"])

    def invoked_stream(self, name="echo", body=None):
        answer = self.client.invoke_model_with_response_stream(modelId=model(name), body=json.dumps(body or self.claude()))
        self.assertEqual(answer["contentType"], "application/json")
        return (json.loads(event["chunk"]["bytes"]) for event in answer["body"])

    def test_a_claude_body(self):
        answer = self.invoke()
        self.assertEqual(answer["content"][0]["text"], f"hello {self.mark}")
        self.assertEqual((answer["stop_reason"], answer["usage"]["input_tokens"]), ("end_turn", 11))

    def test_a_claude_body_streamed(self):
        events = list(self.invoked_stream())
        kinds = [kind for kind in dict.fromkeys(event["type"] for event in events) if kind != "ping"]
        self.assertEqual(kinds, ["message_start", "content_block_start", "content_block_delta",
                                 "content_block_stop", "message_delta", "message_stop"])
        deltas = (event["delta"] for event in events if event["type"] == "content_block_delta")
        self.assertEqual("".join(delta["text"] for delta in deltas), f"hello {self.mark}")

    def test_a_claude_body_with_a_forced_tool(self):
        tools = [{"name": "clock", "description": "Local time", "input_schema": CLOCK}]
        answer = self.invoke(body=self.claude(tools=tools, tool_choice={"type": "tool", "name": "clock"}))
        self.assertEqual((answer["stop_reason"], answer["content"][0]["input"]), ("tool_use", {"zone": "some zone"}))

    def test_bodies_that_are_not_claudes(self):
        named = {**self.claude(), "model": model("echo")}
        for body in ({"inputText": "hello"}, {"messages": []}, named, self.claude(anthropic_beta="x", stream=True)):
            with self.subTest(body), self.assertRaises(ClientError) as caught:
                self.invoke(body=body)
            self.assertEqual(caught.exception.response["Error"]["Code"], "ValidationException")

    def test_an_error_in_a_stream_of_frames(self):
        self.rule({"error_after": 5})
        got = []
        with self.assertRaises(EventStreamError):
            got.extend(self.invoked_stream())

    @gateway_only
    def test_a_cut_stream_of_frames_is_an_error(self):
        self.rule({"fault": "cut", "at": 1500})
        with self.assertRaises(Exception):
            list(self.invoked_stream("lorem", self.claude("50 {}")))

    # -- keys

    def test_signed_requests(self):
        client = signed(*PAIR.split(":", 1))
        answer = client.converse(**self.ask())
        self.assertEqual(answer["output"]["message"]["content"][0]["text"], f"hello {self.mark}")
        events = client.converse_stream(**self.ask())["stream"]
        deltas = (event["contentBlockDelta"]["delta"]["text"] for event in events if "contentBlockDelta" in event)
        self.assertEqual("".join(deltas), f"hello {self.mark}")

    @gateway_only
    def test_a_signed_claude_body(self):
        answer = self.invoke(client=signed(*PAIR.split(":", 1)))
        self.assertEqual(answer["content"][0]["text"], f"hello {self.mark}")

    def refused(self, client):
        with self.assertRaises(ClientError) as caught:
            client.converse(**self.ask())
        self.assertEqual(caught.exception.response["ResponseMetadata"]["HTTPStatusCode"], 403)
        return caught.exception.response["Error"]["Code"]

    def test_wrong_pairs(self):
        id, secret = PAIR.split(":", 1)
        wrong = self.refused(signed(id, "another"))
        unknown = self.refused(signed("AKIAIOSFODNN7EXAMPLE", secret))
        if GATEWAY:
            self.assertEqual((wrong, unknown), ("InvalidSignatureException", "UnrecognizedClientException"))
            self.assertEqual(self.refused(signed(id, secret, token="temporary")), "UnrecognizedClientException")
            self.assertEqual(self.arrivals(), 0)

    @unittest.skipUnless(SPENT_PAIR, "no pair with a spent budget given")
    def test_spent_budget_of_a_pair(self):
        with self.assertRaises(ClientError) as caught:
            signed(*SPENT_PAIR.split(":", 1), retries=2).converse(**self.ask())
        self.assertEqual(caught.exception.response["Error"]["Code"], "ServiceQuotaExceededException")
        self.assertEqual(self.arrivals(), 0)

    def test_wrong_key(self):
        with self.assertRaises(ClientError) as caught:
            with_key("sk-wrong").converse(**self.ask())
        self.assertIn(caught.exception.response["ResponseMetadata"]["HTTPStatusCode"], (401, 403))

    @unittest.skipUnless(SPENT_KEY, "no key with a spent budget given")
    def test_spent_budget(self):
        with self.assertRaises(ClientError) as caught:
            with_key(SPENT_KEY, retries=2).converse(**self.ask())
        self.assertEqual(caught.exception.response["Error"]["Code"], "ServiceQuotaExceededException")
        self.assertEqual(self.arrivals(), 0)

    # -- errors and retries

    def code(self, *args, **more):
        with self.assertRaises(ClientError) as caught:
            self.converse(*args, **more)
        return caught.exception.response["Error"]["Code"]

    def test_unknown_model(self):
        self.assertIn(self.code("no-such-model"), ("ResourceNotFoundException", "ValidationException"))

    def test_bad_request(self):
        turns = user("a") + user("b")
        turns[0]["role"] = "robot"
        self.assertEqual(self.code(messages=turns), "ValidationException")

    def test_provider_rate_limit(self):
        self.rule({"status": 429, "retry_after_ms": 5})
        self.assertEqual(self.code(), "ThrottlingException")

    def test_provider_failures(self):
        for status in (500, 503):
            with self.subTest(status):
                self.assertIn(self.code(f"status-{status}"), ("InternalServerException", "ServiceUnavailableException"))

    def test_error_in_the_stream(self):
        self.rule({"error_after": 3})
        got = []
        with self.assertRaises(EventStreamError):
            for event in self.stream():
                got.append(event)
        self.assertTrue(got)

    @gateway_only
    def test_a_cut_stream_is_an_error(self):
        self.rule({"fault": "cut", "at": 1500})
        with self.assertRaises(Exception):
            list(self.stream("lorem", user(f"50 {self.mark}")))

    def test_retries(self):
        self.rule({"status": 429, "retry_after_ms": 5}, times=1)
        answer = with_key(API_KEY, retries=2).converse(**self.ask())
        self.assertEqual(answer["output"]["message"]["content"][0]["text"], f"hello {self.mark}")
        self.assertEqual(self.arrivals(), 2)


if __name__ == "__main__":
    unittest.main()
