"""Realtime sessions through the official OpenAI SDK for Python, which speaks over a WebSocket."""

import asyncio
import base64
import json
import time
import unittest
import urllib.request

import openai
from openai import AsyncOpenAI, OpenAI

from common import API_KEY, BASE_URL, SPENT_KEY
from common import Marked, gateway_only, model, needs_provider

LOUD = base64.b64encode(b"\x10\x20" * 4800).decode()  # a fifth of a second
SILENT = base64.b64encode(b"\x00\x00" * 4800).decode()


def talk(connection, text, **response):
    """Says something and gives the events of the answer, up to its end."""
    content = [{"type": "input_text", "text": text}]
    connection.conversation.item.create(item={"type": "message", "role": "user", "content": content})
    connection.response.create(response={"output_modalities": ["text"], **response})
    return until(connection, "response.done")


def until(connection, last):
    events = []
    for event in connection:
        events.append(event)
        if event.type == "error":
            raise AssertionError(event)
        if event.type == last:
            return events
    raise AssertionError(f"the session ended before {last}")


def until_true(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("not in time")
        time.sleep(0.02)


def joined(events, kind):
    return "".join(event.delta for event in events if event.type == kind)


@needs_provider("openai")
class RealtimeSuite(Marked):
    def setUp(self):
        super().setUp()
        self.client = OpenAI(base_url=BASE_URL, api_key=API_KEY, max_retries=0, timeout=20)

    def connect(self, name="gpt-realtime", **more):
        return self.client.realtime.connect(model=model(name), **more)

    def test_text(self):
        with self.connect() as connection:
            first = connection.recv()
            self.assertEqual(first.type, "session.created")
            events = talk(connection, f"hello {self.mark}")
            self.assertEqual(joined(events, "response.output_text.delta"), f"hello {self.mark}")
            done = events[-1].response
            self.assertEqual(done.status, "completed")
            self.assertEqual((done.usage.input_tokens, done.usage.output_tokens), (8, 5))
            self.assertEqual(done.usage.input_token_details.cached_tokens, 0)
            # The conversation goes on, and what was said before is in the cache.
            again = talk(connection, "and again")[-1].response
            self.assertEqual(again.usage.input_token_details.cached_tokens, 8)

    def test_sound(self):
        with self.connect() as connection:
            connection.recv()
            connection.session.update(session={"type": "realtime", "audio": {"input": {"turn_detection": None}}})
            connection.input_audio_buffer.append(audio=LOUD)
            connection.input_audio_buffer.commit()
            connection.response.create()
            events = until(connection, "response.done")
            self.assertEqual(joined(events, "response.output_audio_transcript.delta"), "I heard you.")
            self.assertEqual(len(base64.b64decode(next(e.delta for e in events if e.type == "response.output_audio.delta"))), 2400)
            usage = events[-1].response.usage
            self.assertEqual((usage.input_token_details.audio_tokens, usage.output_token_details.audio_tokens), (2, 6))

    def test_the_provider_answers_by_itself(self):
        with self.connect() as connection:
            connection.recv()
            for _ in range(2):
                connection.input_audio_buffer.append(audio=LOUD)
                connection.input_audio_buffer.append(audio=SILENT)
                kinds = [event.type for event in until(connection, "response.done")]
                for kind in ["input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped",
                             "input_audio_buffer.committed", "response.created"]:
                    self.assertIn(kind, kinds)

    def test_a_response_is_cancelled(self):
        with self.connect() as connection:
            connection.recv()
            content = [{"type": "input_text", "text": "lorem 3000"}]
            connection.conversation.item.create(item={"type": "message", "role": "user", "content": content})
            connection.response.create(response={"output_modalities": ["text"]})
            until(connection, "response.output_text.delta")
            connection.response.cancel()
            done = until(connection, "response.done")[-1].response
            self.assertEqual((done.status, done.status_details.reason), ("cancelled", "client_cancelled"))
            # The session is as good as before.
            self.assertEqual(talk(connection, "still there")[-1].response.status, "completed")

    def test_the_limit_of_a_response(self):
        with self.connect() as connection:
            connection.recv()
            done = talk(connection, "lorem 64", max_output_tokens=5)[-1].response
            self.assertEqual((done.status, done.status_details.reason), ("incomplete", "max_output_tokens"))
            self.assertEqual(done.usage.output_tokens, 5)

    def test_an_error_leaves_the_session_open(self):
        with self.connect() as connection:
            connection.recv()
            connection.send({"type": "no.such.event", "event_id": "mine"})
            error = connection.recv()
            self.assertEqual((error.type, error.error.type, error.error.event_id), ("error", "invalid_request_error", "mine"))
            self.assertEqual(talk(connection, "go on")[-1].response.status, "completed")

    def test_asynchronous(self):
        async def run():
            client = AsyncOpenAI(base_url=BASE_URL, api_key=API_KEY, max_retries=0, timeout=20)
            async with client.realtime.connect(model=model("gpt-realtime")) as connection:
                await connection.recv()
                await connection.conversation.item.create(item={
                    "type": "message", "role": "user", "content": [{"type": "input_text", "text": "hello"}]})
                await connection.response.create(response={"output_modalities": ["text"]})
                async for event in connection:
                    if event.type == "response.done":
                        return event.response.status
            return None

        self.assertEqual(asyncio.run(run()), "completed")

    def test_a_model_that_does_not_exist(self):
        with self.assertRaises(Exception) as raised:
            self.connect("no-such-model").enter()
        self.assertIn("404", str(raised.exception))

    @gateway_only
    def test_a_session_stays_with_its_model(self):
        with self.connect() as connection:
            connection.recv()
            connection.session.update(session={"type": "realtime", "model": "gpt-realtime-mini"})
            error = connection.recv()
            self.assertEqual((error.type, error.error.param), ("error", "session.model"))
            # Its own model may be named, as the client knows it.
            connection.session.update(session={"type": "realtime", "model": model("gpt-realtime")})
            self.assertEqual(connection.recv().type, "session.updated")

    @gateway_only
    def test_what_can_not_be_metered_goes_nowhere(self):
        with self.connect() as connection:
            connection.recv()
            for text in ['{"type":"response.cancel","type":"response.create"}', "{", '["response.create"]']:
                connection._connection.send(text)
                self.assertEqual(connection.recv().error.type, "invalid_request_error")
            self.assertEqual(talk(connection, "go on")[-1].response.status, "completed")

    @gateway_only
    def test_no_key_leaves(self):
        with self.assertRaises(openai.PermissionDeniedError) as raised:
            self.client.realtime.client_secrets.create(session={"type": "realtime", "model": model("gpt-realtime")})
        self.assertEqual(raised.exception.body["code"], "key_would_pass")

    @unittest.skipUnless(SPENT_KEY, "no spent key was given")
    def test_a_spent_key_opens_nothing(self):
        client = OpenAI(base_url=BASE_URL, api_key=SPENT_KEY, max_retries=0)
        with self.assertRaises(Exception) as raised:
            client.realtime.connect(model=model("gpt-realtime")).enter()
        self.assertIn("402", str(raised.exception))

    @gateway_only
    def test_each_response_has_a_row(self):
        with self.connect() as connection:
            connection.recv()
            request = connection._connection.response.headers["x-outrigger-request-id"]
            usages = [talk(connection, text)[-1].response.usage for text in ("one", "two and two")]
        account = urllib.request.Request(f"{BASE_URL}/outrigger/requests/{request}")
        account.add_header("authorization", f"Bearer {API_KEY}")

        def rows():
            with urllib.request.urlopen(account, timeout=10) as answer:
                return json.load(answer)["attempts"]

        # The turn that was open ahead is closed when the session is.
        until_true(lambda: all(row["outcome"] != "in_flight" for row in rows()))
        *turns, ahead = rows()
        self.assertEqual(
            [(row["usage"]["input_total"], row["usage"]["cache_read"], row["usage"]["output_total"]) for row in turns],
            [(u.input_tokens, u.input_token_details.cached_tokens, u.output_tokens) for u in usages],
        )
        for row in turns:
            self.assertEqual((row["outcome"], row["usage_quality"], row["answer"]["finish"]), ("ok", "reported", "stop"))
        self.assertEqual((ahead["answer"]["finish"], ahead["usage"]["input_total"], float(ahead["cost_usd"])), ("unused", 0, 0))


if __name__ == "__main__":
    unittest.main()
