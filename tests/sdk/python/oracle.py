"""Oracle's SDK for Python straight against the strict fake of its service; and the gateway, whose signatures are held to the
same rules by the same fake with the same key. No client of the gateway speaks Oracle's dialect."""

import datetime
import email.utils
import json
import os
import re
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request

os.environ.setdefault("OCI_PYTHON_SDK_NO_SERVICE_IMPORTS", "1")  # some hundred services, of which two are used

import oci
from oci.generative_ai import GenerativeAiClient
from oci.generative_ai_inference import GenerativeAiInferenceClient, models as m

WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Oracle(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        arguments = [os.environ["FAKE_PROVIDER_BIN"], "--oci"]
        fake = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
        cls.addClassCleanup(cls.stop, fake)
        ready = json.loads(fake.stdout.readline())
        cls.root, cls.control, cls.user = ready["base_url"].removesuffix("/v1"), ready["control_url"], ready["oci"]
        cls.client = cls.connect(GenerativeAiInferenceClient)

    @staticmethod
    def stop(process):
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()

    @classmethod
    def connect(cls, kind, **changed):
        user = {**cls.user, **changed}
        config = {
            "tenancy": user["tenancy"], "user": user["user"], "fingerprint": user["fingerprint"],
            "key_content": user["private_key"], "region": "us-chicago-1",
        }
        return kind(config, service_endpoint=cls.root, retry_strategy=oci.retry.NoneRetryStrategy(), timeout=(5, 20))

    def details(self, request, model="echo"):
        return m.ChatDetails(
            compartment_id=self.user["compartment"],
            serving_mode=m.OnDemandServingMode(model_id=model),
            chat_request=request,
        )

    def chat(self, model="echo", text="hello", **more):
        messages = more.pop("messages", None) or [m.UserMessage(content=[m.TextContent(text=text)])]
        return self.client.chat(self.details(m.GenericChatRequest(messages=messages, **more), model))

    def events(self, answer):
        return [json.loads(event.data) for event in answer.data.events()]

    # -- chat

    def test_chat(self):
        answer = self.chat()
        chat = answer.data.chat_response
        self.assertEqual(chat.choices[0].message.content[0].text, "hello")
        self.assertEqual((chat.choices[0].finish_reason, chat.usage.prompt_tokens), ("stop", 8))
        self.assertEqual(answer.data.model_id, "echo")
        self.assertIn("FA4E", answer.headers["opc-request-id"])

    def test_twenty_tokens_come_where_nothing_is_said(self):
        chat = self.chat("lorem", "50").data.chat_response
        self.assertEqual((chat.choices[0].finish_reason, chat.usage.completion_tokens), ("length", 20))

    def test_stream(self):
        events = self.events(self.chat(is_stream=True, stream_options=m.StreamOptions(is_include_usage=True)))
        texts = [e["message"]["content"][0]["text"] for e in events if "message" in e]
        self.assertEqual("".join(texts), "hello")
        self.assertEqual([e["finishReason"] for e in events if "finishReason" in e], ["stop"])
        self.assertEqual(events[-1]["usage"]["promptTokens"], 8)

    def test_tools_and_their_results(self):
        tools = [m.FunctionDefinition(name="weather", description="Forecast", parameters=WEATHER)]
        user = m.UserMessage(content=[m.TextContent(text="Bern")])
        first = self.chat("tools", messages=[user], tools=tools, max_tokens=500).data.chat_response.choices[0]
        call = first.message.tool_calls[0]
        self.assertEqual((first.finish_reason, call.type, call.name), ("tool_calls", "FUNCTION", "weather"))
        self.assertEqual(json.loads(call.arguments), {"city": "some city"})
        said = m.AssistantMessage(content=[m.TextContent(text=".")], tool_calls=[call])
        result = m.ToolMessage(content=[m.TextContent(text="rain")], tool_call_id=call.id)
        last = self.chat("tools", messages=[user, said, result], tools=tools, max_tokens=500)
        self.assertEqual(last.data.chat_response.choices[0].message.content[0].text, "weather: rain")

    def test_a_schema(self):
        schema = m.ResponseJsonSchema(name="w", schema=WEATHER, is_strict=True)
        form = m.JsonSchemaResponseFormat(json_schema=schema)
        answer = self.chat("json", response_format=form, max_tokens=500).data.chat_response
        self.assertEqual(json.loads(answer.choices[0].message.content[0].text), {"city": "some city"})

    def test_reasoning(self):
        answer = self.chat(reasoning_effort="LOW", max_tokens=500).data.chat_response
        self.assertTrue(answer.choices[0].message.reasoning_content)
        self.assertEqual(answer.usage.completion_tokens_details.reasoning_tokens, 16)

    def test_coheres_formats(self):
        user = m.CohereUserMessageV2(content=[m.CohereTextContentV2(text="hello")])
        second = m.CohereChatRequestV2(messages=[user])
        answer = self.client.chat(self.details(second, "cohere.echo")).data.chat_response
        self.assertEqual((answer.message.content[0].text, answer.finish_reason), ("hello", "COMPLETE"))
        first = m.CohereChatRequest(message="hello")
        answer = self.client.chat(self.details(first, "cohere.echo")).data.chat_response
        self.assertEqual((answer.text, answer.finish_reason), ("hello", "COMPLETE"))
        second.is_stream = True
        events = self.events(self.client.chat(self.details(second, "cohere.echo")))
        texts = [e["message"]["content"][0]["text"] for e in events if "finishReason" not in e]
        self.assertEqual(("".join(texts), events[-1]["finishReason"]), ("hello", "COMPLETE"))

    def test_embeddings(self):
        asked = m.EmbedTextDetails(
            inputs=["a", "b"], input_type="SEARCH_QUERY", output_dimensions=256,
            serving_mode=m.OnDemandServingMode(model_id="embed"), compartment_id=self.user["compartment"],
        )
        answer = self.client.embed_text(asked).data
        self.assertEqual([len(it) for it in answer.embeddings], [256, 256])
        self.assertEqual(answer.usage.prompt_tokens, 2)

    def test_models(self):
        listed = self.connect(GenerativeAiClient).list_models(self.user["compartment"]).data.items
        self.assertIn("echo", [it.display_name for it in listed])

    # -- refusals

    def refused(self, ask):
        with self.assertRaises(oci.exceptions.ServiceError) as raised:
            ask()
        return raised.exception.status, raised.exception.code

    def test_what_is_refused(self):
        for ask, expected in [
            (lambda: self.chat("no-such-model"), (404, "404")),
            (lambda: self.chat(temperature=9), (400, "400")),
            (lambda: self.chat("status-429"), (429, "TooManyRequests")),
            (lambda: self.chat("status-500"), (500, "InternalServerError")),
        ]:
            self.assertEqual(self.refused(ask), expected)
        other = self.details(m.GenericChatRequest(messages=[m.UserMessage(content=[m.TextContent(text="x")])]))
        other.compartment_id = "ocid1.compartment.oc1..other"
        self.assertEqual(self.refused(lambda: self.client.chat(other)), (404, "NotAuthorizedOrNotFound"))

    def test_whose_signature_is_refused(self):
        details = self.details(m.GenericChatRequest(messages=[m.UserMessage(content=[m.TextContent(text="x")])]))
        stranger = self.connect(GenerativeAiInferenceClient, user="ocid1.user.oc1..stranger")
        self.assertEqual(self.refused(lambda: stranger.chat(details)), (401, "NotAuthenticated"))
        late = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=6)
        client = self.connect(GenerativeAiInferenceClient)
        client.base_client.session.headers["date"] = email.utils.format_datetime(late, usegmt=True)
        self.assertEqual(self.refused(lambda: client.chat(details)), (401, "NotAuthenticated"))

    # -- the gateway, with the same key

    def test_the_gateway_signs_as_the_sdk_does(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        key = os.path.join(folder.name, "key.pem")
        with open(os.open(key, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write(self.user["private_key"])
        fields = {name: self.user[name] for name in ("compartment", "tenancy", "user", "fingerprint")}
        api, admin = (f"127.0.0.1:{free_port()}" for _ in range(2))
        provider = {"type": "oci", "base_url": self.root, "oci": {**fields, "private_key": f"file:{key}"}, "models": ["echo"]}
        config = {
            "server": {"api": api, "admin": admin}, "providers": {"oracle": provider}, "prices": {"unpriced": "allow"},
        }
        with open(os.path.join(folder.name, "outrigger.yaml"), "w") as file:
            json.dump(config, file)
        environment = {**os.environ, "OUTRIGGER_DATA_DIR": os.path.join(folder.name, "data")}
        log = open(os.path.join(folder.name, "log"), "w+")
        self.addCleanup(log.close)
        command = [os.environ["OUTRIGGER_BIN"], "serve"]
        gateway = subprocess.Popen(command, cwd=folder.name, env=environment, stdout=log, stderr=log)
        self.addCleanup(self.stop, gateway)
        until = time.monotonic() + 20
        while time.monotonic() < until:
            self.assertIsNone(gateway.poll(), "the gateway ended")
            try:
                urllib.request.urlopen(f"http://{api}/readyz", timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        body = json.dumps({"model": "oracle/echo", "messages": [{"role": "user", "content": "by the gateway"}]}).encode()
        request = urllib.request.Request(
            f"http://{api}/v1/chat/completions", data=body, headers={"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            self.assertEqual(json.load(answer)["choices"][0]["message"]["content"], "by the gateway")
        self.chat(text="by the SDK")
        with urllib.request.urlopen(self.control + "/requests", timeout=20) as answer:
            kept = json.load(answer)
        header = lambda body: next(
            dict(it["headers"])["authorization"] for it in reversed(kept) if body in it["body"]
        )
        covered = [re.search(r'headers="([^"]+)"', header(body)).group(1) for body in ("by the gateway", "by the SDK")]
        self.assertEqual(covered[0], covered[1])


if __name__ == "__main__":
    unittest.main()
