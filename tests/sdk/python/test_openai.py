"""The official OpenAI SDK for Python against a base URL."""

import asyncio
import json
import unittest

import openai
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from common import API_KEY, BASE_URL, CLOCK, EMBEDDING, PNG, PREFIX, PROVIDER, SPENT_KEY, WEATHER
from common import Marked, gateway_only, model, needs_embeddings, needs_provider, unless_provider
from batches import OpenaiBatches  # noqa: F401, run with these
from media import MediaSuite  # noqa: F401, run with these

TOOLS = [
    {"type": "function", "function": {"name": "weather", "description": "Forecast", "parameters": WEATHER}},
    {"type": "function", "function": {"name": "clock", "description": "Local time", "parameters": CLOCK}},
]


class Person(BaseModel):
    name: str
    age: int
    tags: list[str]


def user(text):
    return [{"role": "user", "content": text}]


class OpenAISuite(Marked):
    def setUp(self):
        super().setUp()
        self.client = OpenAI(base_url=BASE_URL, api_key=API_KEY, max_retries=0, timeout=20)
        self.chat = self.client.chat.completions

    def create(self, name="echo", messages=None, **more):
        return self.chat.create(model=model(name), messages=messages or user(f"hello {self.mark}"), **more)

    # -- chat

    def test_chat(self):
        answer = self.create()
        self.assertEqual(answer.choices[0].message.content, f"hello {self.mark}")
        self.assertEqual(answer.choices[0].message.role, "assistant")
        self.assertEqual(answer.choices[0].finish_reason, "stop")
        self.assertEqual(answer.object, "chat.completion")
        # 19 bytes at four a token; 3 for the message and 3 for the request.
        self.assertEqual((answer.usage.prompt_tokens, answer.usage.completion_tokens), (11, 5))
        self.assertEqual(answer.usage.total_tokens, 16)

    def test_system_and_earlier_turns(self):
        turns = [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "two"},
            {"role": "user", "content": [{"type": "text", "text": f"three {self.mark}"}]},
        ]
        self.assertEqual(self.create(messages=turns).choices[0].message.content, f"three {self.mark}")

    def test_request_id_is_exposed(self):
        self.assertTrue(self.create()._request_id)

    def test_limit_ends_in_length(self):
        answer = self.create("lorem", user(f"90 {self.mark}"), max_completion_tokens=7)
        self.assertEqual(answer.choices[0].finish_reason, "length")
        self.assertEqual(answer.usage.completion_tokens, 7)

    def test_stop_sequence(self):
        answer = self.create(messages=user(f"before STOP after {self.mark}"), stop=["STOP"])
        self.assertEqual(answer.choices[0].message.content, "before ")
        self.assertEqual(answer.choices[0].finish_reason, "stop")

    @unless_provider("cohere", "Cohere has no word for a refusal")
    def test_refusal(self):
        choice = self.create("refusal").choices[0]
        self.assertTrue(choice.message.refusal or choice.finish_reason == "content_filter")

    @needs_provider("openai")
    def test_n_logprobs_and_seed(self):
        answer = self.create("lorem", user("20"), n=3, seed=7, logprobs=True, top_logprobs=2)
        self.assertEqual([c.index for c in answer.choices], [0, 1, 2])
        self.assertEqual(len({c.message.content for c in answer.choices}), 3)
        first = answer.choices[0].logprobs.content[0]
        self.assertEqual(len(first.top_logprobs), 2)
        again = self.create("lorem", user("20"), n=3, seed=7)
        self.assertEqual(again.choices[0].message.content, answer.choices[0].message.content)

    @unless_provider("bedrock", "Converse does not tell reasoning from output")
    @unless_provider("cohere", "Cohere does not tell reasoning from output")
    def test_reasoning_is_counted(self):
        answer = self.create(reasoning_effort="low", max_completion_tokens=4000)
        self.assertGreater(answer.usage.completion_tokens_details.reasoning_tokens, 0)
        self.assertEqual(answer.choices[0].message.content, f"hello {self.mark}")

    @needs_provider("openai")
    def test_cached_input_is_counted(self):
        turns = [
            {"role": "user", "content": "word " * 2000},
            {"role": "assistant", "content": "ok"},
            {"role": "user", "content": self.mark},
        ]
        usage = self.create(messages=turns).usage
        self.assertEqual(usage.prompt_tokens_details.cached_tokens, 2432)
        self.assertGreater(usage.prompt_tokens, 2432)

    # -- streams

    def test_stream(self):
        chunks = list(self.create(stream=True))
        text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        self.assertEqual(text, f"hello {self.mark}")
        self.assertEqual(chunks[0].choices[0].delta.role, "assistant")
        ends = [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason]
        self.assertEqual(ends, ["stop"])
        # Usage was not asked for, so there is neither a figure nor an empty chunk for it.
        self.assertTrue(all(c.usage is None and c.choices for c in chunks))

    def test_stream_with_usage(self):
        chunks = list(self.create(stream=True, stream_options={"include_usage": True}))
        self.assertEqual([c.usage is not None for c in chunks], [False] * (len(chunks) - 1) + [True])
        self.assertEqual(chunks[-1].choices, [])
        self.assertEqual((chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens), (11, 5))

    def test_stream_helper(self):
        with self.chat.stream(model=model("echo"), messages=user(f"hello {self.mark}")) as stream:
            pieces = [e.delta for e in stream if e.type == "content.delta"]
        self.assertEqual("".join(pieces), f"hello {self.mark}")
        self.assertEqual(stream.get_final_completion().choices[0].message.content, f"hello {self.mark}")

    def test_async_stream(self):
        async def run():
            async with AsyncOpenAI(base_url=BASE_URL, api_key=API_KEY, max_retries=0) as client:
                stream = await client.chat.completions.create(
                    model=model("lorem"), messages=user("50"), stream=True
                )
                return [c async for c in stream]

        chunks = asyncio.run(run())
        text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        self.assertEqual(len(text), 200)

    def test_unicode_survives_streaming(self):
        text = "naïve 日本語 😀 \u2028 e\u0301 " + self.mark
        chunks = self.create(messages=user(text), stream=True)
        self.assertEqual("".join(c.choices[0].delta.content or "" for c in chunks if c.choices), text)

    # -- tools

    def test_a_forced_tool(self):
        choice = self.create(
            tools=TOOLS, tool_choice={"type": "function", "function": {"name": "clock"}}
        ).choices[0]
        self.assertEqual(choice.finish_reason, "tool_calls")
        self.assertEqual([c.function.name for c in choice.message.tool_calls], ["clock"])
        self.assertEqual(json.loads(choice.message.tool_calls[0].function.arguments), {"zone": "some zone"})

    def test_parallel_tools_and_their_results(self):
        turns = user(f"plan {self.mark}")
        message = self.create("tools", turns, tools=TOOLS).choices[0].message
        self.assertEqual([c.function.name for c in message.tool_calls], ["weather", "clock"])
        self.assertEqual(len({c.id for c in message.tool_calls}), 2)
        turns = turns + [message.model_dump(exclude_none=True, include={"role", "content", "tool_calls"})]
        for call, result in zip(message.tool_calls, ["rain", "noon"]):
            turns.append({"role": "tool", "tool_call_id": call.id, "content": result})
        answer = self.create("tools", turns, tools=TOOLS).choices[0]
        self.assertEqual(answer.message.content, "weather: rain\nclock: noon")
        self.assertEqual(answer.finish_reason, "stop")

    @unless_provider("gemini", "Gemini can't be told to call one tool at a time")
    @unless_provider("bedrock", "Converse can't be told to call one tool at a time")
    @unless_provider("cohere", "Cohere can't be told to call one tool at a time")
    def test_parallel_can_be_forbidden(self):
        message = self.create("tools", tools=TOOLS, parallel_tool_calls=False).choices[0].message
        self.assertEqual(len(message.tool_calls), 1)

    def test_streamed_tools(self):
        calls = {}
        for chunk in self.create("tools", tools=TOOLS, stream=True):
            for part in chunk.choices[0].delta.tool_calls or [] if chunk.choices else []:
                call = calls.setdefault(part.index, {"arguments": ""})
                if part.id:
                    call.update(id=part.id, name=part.function.name, type=part.type)
                call["arguments"] += part.function.arguments or ""
        self.assertEqual([calls[i]["name"] for i in (0, 1)], ["weather", "clock"])
        self.assertEqual({c["type"] for c in calls.values()}, {"function"})
        self.assertEqual(json.loads(calls[0]["arguments"]), {"city": "some city", "days": 7})

    def test_stream_helper_with_tools(self):
        with self.chat.stream(model=model("tools"), messages=user(self.mark), tools=TOOLS) as stream:
            done = [e for e in stream if e.type == "tool_calls.function.arguments.done"]
        self.assertEqual([e.name for e in done], ["weather", "clock"])

    # -- structured output and images

    def test_parse(self):
        answer = self.chat.parse(model=model("json"), messages=user(self.mark), response_format=Person)
        self.assertIsInstance(answer.choices[0].message.parsed, Person)

    def test_parse_streamed(self):
        with self.chat.stream(
            model=model("json"), messages=user(self.mark), response_format=Person
        ) as stream:
            stream.until_done()
        self.assertIsInstance(stream.get_final_completion().choices[0].message.parsed, Person)

    def test_json_object(self):
        answer = self.create("json", user(f"as json: {self.mark}"), response_format={"type": "json_object"})
        self.assertIsInstance(json.loads(answer.choices[0].message.content), dict)

    def test_image(self):
        parts = [
            {"type": "text", "text": self.mark},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
        ]
        text = self.create(messages=user(parts)).choices[0].message.content
        self.assertIn("image: png 1x1", text)

    # -- models and embeddings

    def test_models(self):
        ids = [m.id for m in self.client.models.list()]
        self.assertIn(PREFIX + "echo", ids)
        self.assertEqual(self.client.models.retrieve(model("echo")).id, model("echo"))

    @needs_embeddings
    def test_embeddings(self):
        answer = self.client.embeddings.create(model=model("embed"), input=["one", "two"], dimensions=256)
        self.assertEqual([len(d.embedding) for d in answer.data], [256, 256])
        if PROVIDER != "cohere":
            self.assertAlmostEqual(sum(v * v for v in answer.data[0].embedding), 1.0, places=4)
        floats = self.client.embeddings.create(
            model=model("embed"), input="one", dimensions=256, encoding_format="float"
        )
        for a, b in zip(floats.data[0].embedding, answer.data[0].embedding):
            self.assertAlmostEqual(a, b, places=6)
        if PROVIDER != "gemini":  # which says nothing about usage
            self.assertEqual(answer.usage.prompt_tokens, 2)

    @gateway_only
    @unittest.skipUnless(PROVIDER in ("gemini", "cohere", "oci"), "a provider whose embeddings have a purpose")
    def test_embeddings_say_what_was_lost(self):
        raw = self.client.embeddings.with_raw_response
        answer = raw.create(model=model("embed"), input="one", extra_body={"input_type": "query"})
        self.assertNotIn("x-outrigger-loss", answer.headers)
        lost = {"cohere": "input_type=approximated"}  # which insists on a purpose
        answer = raw.create(model=model("embed"), input="one")
        self.assertEqual(answer.headers.get("x-outrigger-loss"), lost.get(PROVIDER))

    @gateway_only
    @unittest.skipUnless(PROVIDER in ("gemini", "cohere", "oci"), "a provider with another tokenizer")
    def test_embeddings_of_token_ids_are_refused(self):
        with self.assertRaises(openai.BadRequestError) as raised:
            self.client.embeddings.create(model=model("embed"), input=[[1, 2, 3]])
        self.assertIn("tokenizer", raised.exception.message)
        self.assertEqual(raised.exception.param, "input[0]")

    @gateway_only
    @unittest.skipIf(PROVIDER in EMBEDDING, "a provider with embeddings")
    def test_embeddings_where_there_are_none(self):
        with self.assertRaises(openai.APIStatusError) as raised:
            self.client.embeddings.create(model=model("embed"), input="one")
        self.assertIn("does not serve this operation", str(raised.exception))

    # -- errors and retries

    def test_wrong_key(self):
        client = OpenAI(base_url=BASE_URL, api_key="sk-wrong", max_retries=0)
        with self.assertRaises(openai.AuthenticationError):
            client.chat.completions.create(model=model("echo"), messages=user("x"))

    @unittest.skipUnless(SPENT_KEY, "no key with a spent budget given")
    def test_spent_budget(self):
        client = OpenAI(base_url=BASE_URL, api_key=SPENT_KEY, max_retries=2)
        with self.assertRaises(openai.APIStatusError) as caught:
            client.chat.completions.create(model=model("echo"), messages=user(self.mark))
        self.assertEqual(caught.exception.status_code, 402)
        self.assertEqual(self.arrivals(), 0)

    def test_unknown_model(self):
        with self.assertRaises(openai.NotFoundError) as caught:
            self.create("no-such-model")
        self.assertEqual(caught.exception.status_code, 404)

    def test_bad_request(self):
        with self.assertRaises(openai.BadRequestError):
            self.create(messages=[{"role": "robot", "content": "x"}])

    def test_provider_rate_limit(self):
        self.rule({"status": 429, "retry_after_ms": 5})
        with self.assertRaises(openai.RateLimitError):
            self.create()

    def test_provider_failures(self):
        for status in (500, 503):
            with self.subTest(status), self.assertRaises(openai.InternalServerError):
                self.create(f"status-{status}")

    def test_error_in_the_stream(self):
        self.rule({"error_after": 4})
        got = []
        with self.assertRaises(openai.APIError):
            for chunk in self.create(stream=True):
                got.append(chunk)
        self.assertTrue(got)

    @gateway_only
    def test_a_cut_stream_is_an_error(self):
        self.rule({"fault": "cut", "at": 900})
        with self.assertRaises(openai.APIError):
            list(self.create("lorem", user(f"50 {self.mark}"), stream=True))

    def test_retries(self):
        self.rule({"status": 429, "retry_after_ms": 5}, times=1)
        client = OpenAI(base_url=BASE_URL, api_key=API_KEY, max_retries=2)
        answer = client.chat.completions.create(model=model("echo"), messages=user(self.mark))
        self.assertEqual(answer.choices[0].message.content, self.mark)
        self.assertEqual(self.arrivals(), 2)

    def test_no_retry_of_a_bad_request(self):
        self.rule({"status": 400})
        client = OpenAI(base_url=BASE_URL, api_key=API_KEY, max_retries=2)
        with self.assertRaises(openai.BadRequestError):
            client.chat.completions.create(model=model("echo"), messages=user(self.mark))
        self.assertEqual(self.arrivals(), 1)


if __name__ == "__main__":
    unittest.main()
