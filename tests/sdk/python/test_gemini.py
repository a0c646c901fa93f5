"""The official Google Gen AI SDK for Python against a base URL."""

import asyncio
import base64
import json
import unittest

from google import genai
from google.genai import errors, types
from pydantic import BaseModel

from common import API_KEY, BASE_URL, CLOCK, PNG, PREFIX, PROVIDER, SPENT_KEY, WEATHER
from common import Marked, gateway_only, model, needs_embeddings, needs_provider, unless_provider

# This SDK adds the version by itself.
ROOT = BASE_URL.removesuffix("/v1")
DECLARED = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(name="weather", description="Forecast", parameters_json_schema=WEATHER),
        types.FunctionDeclaration(
            name="clock",
            description="Local time",
            # Google's own form of a schema.
            parameters=types.Schema(
                type="OBJECT", properties={"zone": types.Schema(type="STRING")}, required=["zone"]
            ),
        ),
    ]
)
CLIENTS = []
NO_LOOP = types.AutomaticFunctionCallingConfig(disable=True)


class Person(BaseModel):
    name: str
    age: int
    tags: list[str]


def client_of(key=API_KEY, version=None):
    options = types.HttpOptions(base_url=ROOT, timeout=20_000, api_version=version)
    client = genai.Client(api_key=key, vertexai=False, http_options=options)
    # A client that nobody holds any more closes its connections under the requests that run.
    CLIENTS.append(client)
    return client


def results(answer, said):
    """The results of all calls of an answer, by the name of what was called."""
    return types.Content(
        role="user",
        parts=[
            types.Part(
                function_response=types.FunctionResponse(
                    id=call.id, name=call.name, response={"result": said[call.name]}
                )
            )
            for call in answer.function_calls
        ],
    )


class GeminiSuite(Marked):
    def setUp(self):
        super().setUp()
        self.client = client_of()
        self.models = self.client.models

    def ask(self, name="echo", contents=None, **config):
        return {
            "model": model(name),
            "contents": contents or f"hello {self.mark}",
            "config": types.GenerateContentConfig(automatic_function_calling=NO_LOOP, **config),
        }

    def create(self, *args, **config):
        return self.models.generate_content(**self.ask(*args, **config))

    def stream(self, *args, **config):
        return self.models.generate_content_stream(**self.ask(*args, **config))

    # -- text

    def test_text(self):
        answer = self.create()
        self.assertEqual(answer.text, f"hello {self.mark}")
        self.assertEqual(answer.candidates[0].finish_reason, types.FinishReason.STOP)
        usage = answer.usage_metadata
        self.assertEqual((usage.prompt_token_count, usage.candidates_token_count), (11, 5))
        self.assertEqual(usage.total_token_count, 16)
        self.assertTrue(answer.model_version and answer.response_id)

    def test_both_versions_of_the_path(self):
        for version in ("v1", "v1beta"):
            with self.subTest(version):
                answer = client_of(version=version).models.generate_content(**self.ask())
                self.assertEqual(answer.text, f"hello {self.mark}")

    def test_system_and_earlier_turns(self):
        turns = [
            types.Content(role="user", parts=[types.Part(text="one")]),
            types.Content(role="model", parts=[types.Part(text="two")]),
            types.Content(role="user", parts=[types.Part(text=f"three {self.mark}")]),
        ]
        answer = self.create(contents=turns, system_instruction="be brief")
        self.assertEqual(answer.text, f"three {self.mark}")

    def test_limit_ends_in_max_tokens(self):
        answer = self.create("lorem", f"90 {self.mark}", max_output_tokens=7)
        self.assertEqual(answer.candidates[0].finish_reason, types.FinishReason.MAX_TOKENS)
        self.assertEqual(answer.usage_metadata.candidates_token_count, 7)

    def test_stop_sequence_and_sampling(self):
        more = {"temperature": 0.5, "seed": 7}
        if PROVIDER == "anthropic":
            more = {}
        answer = self.create(contents=f"before STOP after {self.mark}", stop_sequences=["STOP"], **more)
        self.assertEqual(answer.text, "before ")
        self.assertEqual(answer.candidates[0].finish_reason, types.FinishReason.STOP)

    @unless_provider("cohere", "Cohere has no word for a refusal")
    def test_refusal(self):
        self.assertEqual(self.create("refusal").candidates[0].finish_reason, types.FinishReason.SAFETY)

    @needs_provider("gemini")
    def test_a_blocked_prompt(self):
        answer = self.create(contents=f"BLOCK THIS PROMPT {self.mark}")
        self.assertFalse(answer.candidates)
        self.assertEqual(answer.prompt_feedback.block_reason, types.BlockedReason.PROHIBITED_CONTENT)

    # -- streams

    def test_stream(self):
        chunks = list(self.stream())
        self.assertEqual("".join(c.text or "" for c in chunks), f"hello {self.mark}")
        self.assertGreater(len(chunks), 2)
        last = chunks[-1]
        self.assertEqual(last.candidates[0].finish_reason, types.FinishReason.STOP)
        usage = last.usage_metadata
        self.assertEqual((usage.prompt_token_count, usage.candidates_token_count), (11, 5))

    def test_async_stream(self):
        async def run():
            got = await client_of().aio.models.generate_content_stream(**self.ask("lorem", "50"))
            return "".join([chunk.text or "" async for chunk in got])

        self.assertEqual(len(asyncio.run(run())), 200)

    def test_unicode_survives_streaming(self):
        text = "naïve 日本語 😀 \u2028 e\u0301 " + self.mark
        self.assertEqual("".join(c.text or "" for c in self.stream(contents=text)), text)

    def test_a_chat_keeps_its_history(self):
        chat = self.client.chats.create(model=model("echo"))
        self.assertEqual(chat.send_message(f"one {self.mark}").text, f"one {self.mark}")
        got = "".join(c.text or "" for c in chat.send_message_stream(f"two {self.mark}"))
        self.assertEqual(got, f"two {self.mark}")
        self.assertEqual(chat.send_message(f"three {self.mark}").text, f"three {self.mark}")

    # -- tools

    def test_a_forced_tool(self):
        config = types.ToolConfig(
            function_calling_config=types.FunctionCallingConfig(mode="ANY", allowed_function_names=["clock"])
        )
        answer = self.create(tools=[DECLARED], tool_config=config)
        self.assertEqual([(c.name, c.args) for c in answer.function_calls], [("clock", {"zone": "some zone"})])

    def test_parallel_tools_and_their_results(self):
        turns = [types.Content(role="user", parts=[types.Part(text=f"plan {self.mark}")])]
        answer = self.create("tools", turns, tools=[DECLARED])
        self.assertEqual([c.name for c in answer.function_calls], ["weather", "clock"])
        self.assertEqual(answer.candidates[0].finish_reason, types.FinishReason.STOP)
        said = results(answer, {"weather": "rain", "clock": "noon"})
        final = self.create("tools", [*turns, answer.candidates[0].content, said], tools=[DECLARED])
        self.assertEqual(final.text, "weather: rain\nclock: noon")

    def test_streamed_tools_come_whole(self):
        turns = [types.Content(role="user", parts=[types.Part(text=f"plan {self.mark}")])]
        chunks = list(self.stream("tools", turns, tools=[DECLARED]))
        calls = [call for chunk in chunks for call in chunk.function_calls or []]
        self.assertEqual(
            [(c.name, c.args) for c in calls],
            [("weather", {"city": "some city", "days": 7}), ("clock", {"zone": "some zone"})],
        )
        # As a client that keeps each chunk as a turn of its own sends it back, without any ids.
        history = [c.candidates[0].content for c in chunks if c.candidates and c.candidates[0].content]
        parts = [
            types.Part.from_function_response(name=c.name, response={"output": f"{c.name} done"}) for c in calls
        ]
        turns = [*turns, *history, types.Content(role="user", parts=parts)]
        final = self.create("tools", turns, tools=[DECLARED])
        self.assertEqual(final.text, "weather: weather done\nclock: clock done")

    def test_the_sdk_calls_functions_itself(self):
        asked = []

        def weather(city: str) -> str:
            """Forecast.

            Args:
                city: where
            """
            asked.append(city)
            return "rain"

        config = types.GenerateContentConfig(tools=[weather])
        answer = self.models.generate_content(model=model("tools"), contents=f"plan {self.mark}", config=config)
        self.assertEqual((asked, answer.text), (["some city"], "weather: rain"))

    def test_a_failed_tool(self):
        turns = [types.Content(role="user", parts=[types.Part(text=f"plan {self.mark}")])]
        config = types.ToolConfig(
            function_calling_config=types.FunctionCallingConfig(mode="ANY", allowed_function_names=["clock"])
        )
        answer = self.create(contents=turns, tools=[DECLARED], tool_config=config)
        [call] = answer.function_calls
        failed = types.Part(
            function_response=types.FunctionResponse(id=call.id, name=call.name, response={"error": "broken"})
        )
        turns = [*turns, answer.candidates[0].content, types.Content(role="user", parts=[failed])]
        final = self.create(contents=turns, tools=[DECLARED])
        self.assertIn("broken", final.text)
        self.assertIn("rror", final.text)

    # -- structured output and images

    def test_a_schema_of_pydantic(self):
        answer = self.create("json", response_mime_type="application/json", response_schema=Person)
        self.assertIsInstance(answer.parsed, Person)

    def test_a_schema_as_plain_json(self):
        more = {"response_mime_type": "application/json", "response_json_schema": WEATHER}
        self.assertEqual(json.loads(self.create("json", **more).text), {"city": "some city", "days": 7})

    def test_some_json(self):
        answer = self.create("json", response_mime_type="application/json")
        self.assertIn(self.mark, answer.text)

    def test_image(self):
        # The SDK sends the bytes in the URL-safe alphabet, which no other vendor takes.
        picture = types.Part.from_bytes(data=base64.b64decode(PNG), mime_type="image/png")
        self.assertIn("image: png 1x1", self.create(contents=[picture, self.mark]).text)

    # -- thinking

    def test_thoughts(self):
        thinking = types.ThinkingConfig(include_thoughts=True, thinking_level="LOW")
        answer = self.create(thinking_config=thinking, max_output_tokens=4000)
        self.assertEqual(answer.text, f"hello {self.mark}")
        if PROVIDER != "openai":
            self.assertTrue(any(p.thought for p in answer.candidates[0].content.parts))
        # Converse and Cohere do not tell reasoning from output.
        untold = PROVIDER in ("bedrock", "cohere")
        self.assertEqual(answer.usage_metadata.thoughts_token_count is None, untold)

    def test_thoughts_streamed(self):
        thinking = types.ThinkingConfig(include_thoughts=True, thinking_level="LOW")
        chunks = list(self.stream(thinking_config=thinking, max_output_tokens=4000))
        parts = [p for c in chunks for p in (c.candidates[0].content.parts or [])]
        self.assertEqual("".join(p.text or "" for p in parts if not p.thought), f"hello {self.mark}")
        if PROVIDER != "openai":
            self.assertTrue(any(p.thought for p in parts))

    def test_thoughts_go_back_with_tool_results(self):
        thinking = types.ThinkingConfig(include_thoughts=True, thinking_level="LOW")
        more = {"tools": [DECLARED], "thinking_config": thinking, "max_output_tokens": 4000}
        turns = [types.Content(role="user", parts=[types.Part(text=f"plan {self.mark}")])]
        first = self.create("tools", turns, **more)
        if PROVIDER != "openai":
            self.assertTrue(any(p.thought_signature for p in first.candidates[0].content.parts))
        said = results(first, {"weather": "fine", "clock": "fine"})
        second = self.create("tools", [*turns, first.candidates[0].content, said], **more)
        self.assertEqual(second.text, "weather: fine\nclock: fine")

    # -- counting, embeddings, models

    def test_count_tokens(self):
        count = self.models.count_tokens(model=model("echo"), contents=f"hello {self.mark}")
        self.assertGreater(count.total_tokens, 4)
        if PROVIDER == "gemini":
            self.assertEqual(count.total_tokens, 11)

    @needs_embeddings
    def test_embeddings(self):
        config = types.EmbedContentConfig(output_dimensionality=256, task_type="RETRIEVAL_DOCUMENT")
        answer = self.models.embed_content(model=model("embed"), contents=["one", "two"], config=config)
        self.assertEqual([len(e.values) for e in answer.embeddings], [256, 256])
        self.assertNotEqual(answer.embeddings[0].values, answer.embeddings[1].values)

    def test_models(self):
        names = [m.name for m in self.models.list()]
        self.assertIn("models/" + PREFIX + "echo", names)
        self.assertEqual(self.models.get(model=model("echo")).name, "models/" + model("echo"))

    # -- errors

    def assert_fails(self, status, word, run):
        with self.assertRaises(errors.APIError) as caught:
            run()
        self.assertEqual((caught.exception.code, caught.exception.status), (status, word))

    def test_wrong_key(self):
        with self.assertRaises(errors.ClientError):
            client_of("sk-wrong").models.generate_content(**self.ask())

    @unittest.skipUnless(SPENT_KEY, "no key with a spent budget given")
    def test_spent_budget(self):
        with self.assertRaises(errors.ClientError) as caught:
            client_of(SPENT_KEY).models.generate_content(**self.ask())
        self.assertEqual(caught.exception.status, "RESOURCE_EXHAUSTED")
        self.assertEqual(self.arrivals(), 0)

    def test_unknown_model(self):
        self.assert_fails(404, "NOT_FOUND", lambda: self.create("no-such-model"))

    def test_bad_request(self):
        robot = [types.Content(role="robot", parts=[types.Part(text=self.mark)])]
        self.assert_fails(400, "INVALID_ARGUMENT", lambda: self.create(contents=robot))

    def test_provider_rate_limit(self):
        self.rule({"status": 429, "retry_after_ms": 5})
        with self.assertRaises(errors.ClientError) as caught:
            self.create()
        self.assertEqual(caught.exception.code, 429)

    def test_provider_failures(self):
        for status in (500, 503):
            with self.subTest(status), self.assertRaises(errors.ServerError):
                self.create(f"status-{status}")

    def test_error_in_the_stream(self):
        self.rule({"error_after": 5})
        got = []
        with self.assertRaises(errors.APIError):
            for chunk in self.stream():
                got.append(chunk)
        self.assertTrue(got)

    @gateway_only
    def test_a_cut_stream_is_an_error(self):
        self.rule({"fault": "cut", "at": 1500})
        with self.assertRaises(Exception):
            list(self.stream("lorem", f"50 {self.mark}"))


if __name__ == "__main__":
    unittest.main()
