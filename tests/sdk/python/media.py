"""Images, audio, moderation and reranking through the official OpenAI SDK: run with `test_openai`."""

import base64
import io
import json
import unittest
import wave

import openai
from openai import OpenAI

from common import API_KEY, BASE_URL, PNG, PROVIDER, SPENT_KEY, Marked, gateway_only, model, needs_provider

PICTURE = base64.b64decode(PNG)


def sound(seconds):
    """A WAV file of silence."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(8000)
        file.writeframes(bytes(int(8000 * seconds)))
    return "sound.wav", out.getvalue(), "audio/wav"


class MediaSuite(Marked):
    def setUp(self):
        super().setUp()
        self.client = OpenAI(base_url=BASE_URL, api_key=API_KEY, max_retries=0, timeout=20)

    def generate(self, name="image", **more):
        return self.client.images.generate(model=model(name), prompt=f"a cat {self.mark}", **more)

    def transcribe(self, name="transcribe", seconds=2.5, **more):
        file = sound(seconds)
        return self.client.audio.transcriptions.create(model=model(name), file=file, prompt=self.mark, **more)

    @needs_provider("openai")
    def test_images_are_made(self):
        answer = self.generate(n=2, quality="medium", size="1024x1024")
        self.assertEqual([base64.b64decode(it.b64_json) for it in answer.data], [PICTURE, PICTURE])
        self.assertEqual((answer.usage.output_tokens, answer.usage.input_tokens_details.image_tokens), (2 * 1056, 0))
        plain = self.generate("per-image", response_format="url")
        self.assertTrue(plain.data[0].url)
        self.assertIsNone(plain.usage)

    @needs_provider("openai")
    def test_images_are_streamed(self):
        events = list(self.generate(stream=True, partial_images=2))
        kinds = [it.type.split(".")[1] for it in events]
        self.assertEqual(kinds, ["partial_image", "partial_image", "completed"])
        self.assertEqual((events[1].partial_image_index, events[2].usage.output_tokens), (1, 272))

    @needs_provider("openai")
    def test_images_are_changed(self):
        file = ("a cat; name=x.png", PICTURE, "image/png")
        edit = self.client.images.edit
        one = edit(model=model("image"), image=file, prompt=self.mark)
        self.assertEqual(one.usage.input_tokens_details.image_tokens, 323)
        two = edit(model=model("image"), image=[file, file], mask=file, prompt=self.mark, n=2)
        self.assertEqual((two.usage.input_tokens_details.image_tokens, len(two.data)), (646, 2))
        events = list(edit(model=model("image"), image=file, prompt=self.mark, stream=True))
        self.assertEqual([it.type for it in events], ["image_edit.completed"])
        like = self.client.images.create_variation(model=model("image"), image=file, response_format="b64_json")
        self.assertEqual(base64.b64decode(like.data[0].b64_json), PICTURE)
        with self.assertRaises(openai.BadRequestError) as raised:
            edit(model=model("image"), image=("a.png", b"none", "image/png"), prompt=self.mark)
        self.assertEqual(raised.exception.code, "invalid_image_file")

    @needs_provider("openai")
    def test_speech_comes_byte_for_byte(self):
        said = {"model": model("voice"), "voice": "alloy", "input": f"hello {self.mark} " * 20}
        whole = self.client.audio.speech.create(**said)
        self.assertEqual(whole.response.headers["content-type"], "audio/mpeg")
        sound = whole.read()
        self.assertTrue(sound.startswith(b"ID3"))
        self.assertGreaterEqual(len(sound), 512 * len(said["input"]))
        with self.client.audio.speech.with_streaming_response.create(**said) as answer:
            self.assertEqual(b"".join(answer.iter_bytes()), sound)
        with self.client.audio.speech.with_streaming_response.create(**said, stream_format="sse") as answer:
            data = [json.loads(it[5:]) for it in answer.iter_lines() if it.startswith("data:")]
        pieces = [base64.b64decode(it["audio"]) for it in data if it["type"] == "speech.audio.delta"]
        self.assertEqual(b"".join(pieces), sound)
        self.assertEqual(data[-1]["usage"]["output_tokens"], len(said["input"]))

    @needs_provider("openai")
    def test_speech_is_written_down(self):
        answer = self.transcribe()
        self.assertEqual(answer.text, "20044 bytes of audio")
        self.assertEqual((answer.usage.input_token_details.audio_tokens, answer.usage.output_tokens), (30, 5))
        told = self.transcribe("whisper", response_format="verbose_json", timestamp_granularities=["word", "segment"])
        self.assertEqual((told.duration, told.usage.seconds), (2.5, 3))
        self.assertEqual(self.transcribe(response_format="text").strip(), "20044 bytes of audio")
        events = list(self.transcribe(stream=True))
        self.assertEqual("".join(it.delta for it in events[:-1]), events[-1].text)
        self.assertEqual(events[-1].usage.total_tokens, 39)
        english = self.client.audio.translations.create(model=model("whisper"), file=sound(1))
        self.assertEqual(english.text, "8044 bytes of audio")

    @needs_provider("openai")
    def test_what_can_not_stream_answers_in_one_piece(self):
        raw = self.client.audio.transcriptions.with_raw_response
        answer = raw.create(model=model("whisper"), file=sound(1), stream=True)
        self.assertEqual(answer.headers["content-type"], "application/json")
        self.assertEqual(json.loads(answer.http_response.read())["usage"], {"type": "duration", "seconds": 1})

    @needs_provider("openai")
    def test_moderation(self):
        judged = self.client.moderations.create(model=model("moderation"), input=["peace", f"kill {self.mark}"])
        self.assertEqual([it.flagged for it in judged.results], [False, True])
        self.assertTrue(judged.results[1].categories.violence)
        parts = [{"type": "text", "text": "kill"}, {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}]
        self.assertTrue(self.client.moderations.create(model=model("moderation"), input=parts).results[0].flagged)

    @needs_provider("openai")
    def test_rerank(self):
        body = {"model": model("rerank"), "query": "cold war", "documents": ["a warm day", "the cold war", self.mark], "top_n": 2}
        answer = self.client.post("/rerank", body=body, cast_to=object)
        self.assertEqual([it["index"] for it in answer["results"]], [1, 0])
        self.assertGreater(answer["usage"]["total_tokens"], 0)

    @needs_provider("openai")
    def test_errors_are_of_the_right_class(self):
        with self.assertRaises(openai.BadRequestError) as raised:
            self.generate(size="7x7")
        self.assertEqual(raised.exception.param, "size")
        with self.assertRaises(openai.NotFoundError):
            self.generate("no-such-model")
        with self.assertRaises(openai.BadRequestError):
            self.transcribe(response_format="film")
        wrong = OpenAI(base_url=BASE_URL, api_key="sk-wrong", max_retries=0)
        with self.assertRaises(openai.AuthenticationError):
            wrong.audio.speech.create(model=model("voice"), voice="alloy", input=self.mark)
        self.rule({"status": 429, "retry_after_ms": 5})
        with self.assertRaises(openai.RateLimitError):
            self.transcribe()

    @needs_provider("openai")
    @gateway_only
    def test_a_stream_that_is_cut_is_an_error(self):
        self.rule({"missing_done": True})
        with self.assertRaises(openai.APIError):
            list(self.generate(stream=True, partial_images=1))

    @unittest.skipUnless(SPENT_KEY, "no key with a spent budget given")
    def test_spent_budget(self):
        client = OpenAI(base_url=BASE_URL, api_key=SPENT_KEY, max_retries=2)
        with self.assertRaises(openai.APIStatusError) as caught:
            client.audio.transcriptions.create(model="mock-openai/transcribe", file=sound(1), prompt=self.mark)
        self.assertEqual(caught.exception.status_code, 402)
        self.assertEqual(self.arrivals(), 0)

    @gateway_only
    @unittest.skipIf(PROVIDER == "openai", "a provider that serves these")
    def test_where_there_are_none(self):
        with self.assertRaises(openai.APIStatusError) as raised:
            self.generate()
        self.assertIn("does not serve this operation", str(raised.exception))
        self.assertEqual(self.arrivals(), 0)
