"""LangChain and Pydantic AI, each through its models for OpenAI, Anthropic, Google, Bedrock and Cohere.

Straight, each speaks to the fake partner in its own dialect. What the SDKs below them do is tried in the SDKs' suites; here it is
what a framework makes of the answers: text, pieces, tools that run, objects, and errors with their status.
"""

import os
import unittest
import warnings

for name in ("LANGSMITH_TRACING", "LANGCHAIN_TRACING_V2"):  # nothing may be sent elsewhere
    os.environ[name] = "false"
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
# Not what is tried here: these frameworks warn of other people's deprecations.
warnings.simplefilter("ignore")

import anthropic
import boto3
import botocore.exceptions
import cohere
import google.genai.errors
import openai
from botocore.config import Config
from langchain_anthropic import ChatAnthropic
from langchain_aws import ChatBedrockConverse
from langchain_cohere import ChatCohere
from langchain_core.messages import AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel, ConfigDict
from pydantic_ai import Agent, BinaryContent, NativeOutput
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.bedrock import BedrockConverseModel
from pydantic_ai.models.cohere import CohereModel
from pydantic_ai.models.google import GoogleModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.bedrock import BedrockProvider
from pydantic_ai.providers.cohere import CohereProvider
from pydantic_ai.providers.google import GoogleProvider
from pydantic_ai.providers.openai import OpenAIProvider

import base64

from common import API_KEY, BASE_URL, PNG, PROVIDER, Marked, model

ROOT = BASE_URL.removesuffix("/v1")


class Person(BaseModel):
    """Somebody."""

    model_config = ConfigDict(extra="forbid")

    name: str
    age: int
    tags: list[str]


SOMEBODY = Person(name="some name", age=7, tags=["some tags"])


@tool
def weather(city: str, days: int) -> str:
    """Forecast"""
    return f"rain in {city}"


@tool
def clock(zone: str) -> str:
    """Local time"""
    return f"noon in {zone}"


def bedrock():
    """The SDK refuses to send bearer keys over plain HTTP: the header is put in place of the signature."""
    pair = {"aws_access_key_id": "none", "aws_secret_access_key": "none", "region_name": "us-east-1"}
    config = Config(retries={"total_max_attempts": 1}, read_timeout=20)
    client = boto3.client("bedrock-runtime", endpoint_url=ROOT, config=config, **pair)

    def put(request, **_):
        request.headers["Authorization"] = f"Bearer {API_KEY}"

    client.meta.events.register("before-send.bedrock-runtime", put)
    return client


class Framework(Marked):
    lacks = {}  # {test: what the framework can't do there}

    def setUp(self):
        super().setUp()
        if self._testMethodName in self.lacks:
            self.skipTest(self.lacks[self._testMethodName])


class LangChain:
    """What each chat model of LangChain must do."""

    not_found = None  # what its SDK raises for a model that isn't there
    structured = ("json", {})  # the model that is asked for an object, and how

    def chat(self, name, **more):
        raise NotImplementedError

    def text_of(self, message):
        return message.text if isinstance(message.text, str) else message.text()

    def counted(self, message, tokens):
        self.assertEqual(message.usage_metadata["output_tokens"], tokens)

    def test_text(self):
        answer = self.chat("echo").invoke([SystemMessage("be brief"), HumanMessage(f"hello {self.mark}")])
        self.assertEqual(self.text_of(answer), f"hello {self.mark}")
        self.counted(answer, 5)
        self.assertGreater(answer.usage_metadata["input_tokens"], 11)

    def test_stream(self):
        whole = AIMessageChunk("")
        for chunk in self.chat("lorem").stream(f"50 {self.mark}"):
            whole += chunk
        self.assertEqual(len(self.text_of(whole)), 200)
        self.counted(whole, 50)

    def test_tools_run_and_their_results_come_back(self):
        chat = self.chat("tools").bind_tools([weather, clock])
        turns = [HumanMessage(f"plan {self.mark}")]
        asked = chat.invoke(turns)
        self.assertEqual([c["name"] for c in asked.tool_calls], ["weather", "clock"])
        results = [{"weather": weather, "clock": clock}[c["name"]].invoke(c) for c in asked.tool_calls]
        self.assertTrue(all(isinstance(r, ToolMessage) for r in results))
        final = self.text_of(chat.invoke([*turns, asked, *results]))
        self.assertIn("rain in some city", final)
        self.assertIn("noon in some zone", final)

    def test_streamed_tools(self):
        whole = None
        for chunk in self.chat("tools").bind_tools([weather, clock]).stream(f"plan {self.mark}"):
            whole = chunk if whole is None else whole + chunk
        self.assertEqual(
            [(c["name"], c["args"]) for c in whole.tool_calls],
            [("weather", {"city": "some city", "days": 7}), ("clock", {"zone": "some zone"})],
        )

    def test_structured(self):
        name, how = self.structured
        chat = self.chat(name).with_structured_output(Person, **how)
        self.assertEqual(chat.invoke(f"a person {self.mark}"), SOMEBODY)

    def test_image(self):
        image = {"type": "image", "base64": PNG, "mime_type": "image/png"}
        answer = self.chat("echo").invoke([HumanMessage([{"type": "text", "text": self.mark}, image])])
        self.assertIn("image: png 1x1", self.text_of(answer))

    def test_unknown_model(self):
        with self.assertRaises(self.not_found):
            self.chat("no-such-model").invoke(self.mark)

    def test_error_in_the_stream(self):
        self.rule({"error_after": 8})
        got = []
        with self.assertRaises(Exception):
            for chunk in self.chat("lorem").stream(f"50 {self.mark}"):
                got.append(chunk)
        self.assertTrue(got)


class LangChainOpenAI(LangChain, Framework):
    not_found = openai.NotFoundError

    def chat(self, name, **more):
        return ChatOpenAI(
            model=model(name), base_url=BASE_URL, api_key=API_KEY, max_retries=0, stream_usage=True,
            use_responses_api=False, **more,
        )

    @unittest.skipUnless(PROVIDER == "openai", "the fake embeds in OpenAI's dialect")
    def test_embeddings(self):
        embeddings = OpenAIEmbeddings(
            model=model("embed"), base_url=BASE_URL, api_key=API_KEY, dimensions=16,
            check_embedding_ctx_length=False,
        )
        self.assertEqual([len(v) for v in embeddings.embed_documents(["one", "two"])], [16, 16])


class LangChainResponses(LangChain, Framework):
    not_found = openai.NotFoundError

    def chat(self, name, **more):
        return ChatOpenAI(
            model=model(name), base_url=BASE_URL, api_key=API_KEY, max_retries=0, use_responses_api=True,
            store=False, **more,
        )


class LangChainAnthropic(LangChain, Framework):
    not_found = anthropic.NotFoundError

    def chat(self, name, **more):
        return ChatAnthropic(
            model=model(name), base_url=ROOT, api_key=API_KEY, max_retries=0, max_tokens=500, **more
        )


class LangChainGoogle(LangChain, Framework):
    not_found = Exception  # LangChain's own, which keeps no status

    def chat(self, name, **more):
        return ChatGoogleGenerativeAI(
            model=model(name), base_url=ROOT, api_key=API_KEY, max_retries=0, vertexai=False, **more
        )


class LangChainBedrock(LangChain, Framework):
    not_found = botocore.exceptions.ClientError

    def chat(self, name, **more):
        return ChatBedrockConverse(
            model=model(name), client=bedrock(), bedrock_client=bedrock(), region_name="us-east-1",
            max_tokens=500, provider="anthropic", disable_streaming=False,
            supports_tool_choice_values=("auto", "any", "tool"), **more,
        )


class LangChainCohere(LangChain, Framework):
    not_found = cohere.errors.NotFoundError
    structured = ("tools", {"method": "function_calling"})
    lacks = {
        "test_image": "langchain-cohere leaves images out",
        "test_streamed_tools": "langchain-cohere makes a call of each piece",
    }
    if PROVIDER in ("anthropic", "bedrock"):
        lacks["test_tools_run_and_their_results_come_back"] = "langchain-cohere makes documents of results"

    def counted(self, message, tokens):
        """It reads what went through the model, which is more than what is billed; and of a stream, nothing."""
        if message.usage_metadata:
            self.assertGreaterEqual(message.usage_metadata["output_tokens"], tokens)

    def chat(self, name, **more):
        return ChatCohere(model=model(name), base_url=ROOT, cohere_api_key=API_KEY, **more)


class PydanticAI:
    """What an agent must be able to do with each model of Pydantic AI."""

    def model(self, name):
        raise NotImplementedError

    def counted(self, result, tokens):
        self.assertEqual(result.usage.output_tokens, tokens)

    def agent(self, name, **more):
        return Agent(self.model(name), retries=0, **more)

    def test_text(self):
        result = self.agent("echo", instructions="be brief").run_sync(f"hello {self.mark}")
        self.assertEqual(result.output, f"hello {self.mark}")
        self.counted(result, 5)

    def test_stream(self):
        result = self.agent("lorem").run_stream_sync(f"50 {self.mark}")
        pieces = list(result.stream_text(delta=True, debounce_by=None))
        self.assertEqual(len("".join(pieces)), 200)
        self.assertGreater(len(pieces), 5)
        self.counted(result, 50)

    def test_tools_run_and_their_results_come_back(self):
        agent = self.agent("tools", tools=[weather.func, clock.func])
        result = agent.run_sync(f"plan {self.mark}")
        # Google's models are told objects and not texts.
        self.assertRegex(result.output, "weather: .*rain in some city.*\nclock: .*noon in some zone")
        self.assertEqual(result.usage.requests, 2)

    def test_structured(self):
        agent = self.agent("json", output_type=NativeOutput(Person))
        self.assertEqual(agent.run_sync(self.mark).output, SOMEBODY)

    def test_structured_by_a_tool(self):
        agent = self.agent("tools", output_type=Person)
        self.assertEqual(agent.run_sync(self.mark).output, SOMEBODY)

    def test_image(self):
        image = BinaryContent(base64.b64decode(PNG), media_type="image/png")
        self.assertIn("image: png 1x1", self.agent("echo").run_sync([self.mark, image]).output)

    def test_errors_keep_their_status(self):
        # Bedrock itself finds a wrong name invalid.
        for name, statuses in [("no-such-model", (400, 404)), ("status-429", (429,))]:
            with self.subTest(name), self.assertRaises(ModelHTTPError) as raised:
                self.agent(name).run_sync(self.mark)
            self.assertIn(raised.exception.status_code, statuses)


# Pydantic AI goes by the names of models, and doesn't know these.
SCHEMAS = ModelProfile(supports_json_schema_output=True)


class PydanticAIOpenAI(PydanticAI, Framework):
    def model(self, name, kind=OpenAIChatModel):
        client = openai.AsyncOpenAI(base_url=BASE_URL, api_key=API_KEY, max_retries=0)
        return kind(model(name), provider=OpenAIProvider(openai_client=client))


class PydanticAIResponses(PydanticAIOpenAI):
    def model(self, name):
        return super().model(name, OpenAIResponsesModel)


class PydanticAIAnthropic(PydanticAI, Framework):
    def model(self, name):
        client = anthropic.AsyncAnthropic(base_url=ROOT, api_key=API_KEY, max_retries=0)
        return AnthropicModel(model(name), provider=AnthropicProvider(anthropic_client=client), profile=SCHEMAS)


class PydanticAIGoogle(PydanticAI, Framework):
    def model(self, name):
        return GoogleModel(model(name), provider=GoogleProvider(api_key=API_KEY, base_url=ROOT))


class PydanticAIBedrock(PydanticAI, Framework):
    def model(self, name):
        provider = BedrockProvider(bedrock_client=bedrock())
        return BedrockConverseModel(model(name), provider=provider, profile=SCHEMAS)


class PydanticAICohere(PydanticAI, Framework):
    lacks = {
        "test_image": "Pydantic AI sends Cohere no images",
        "test_structured": "Pydantic AI asks Cohere for no schema",
    }

    def counted(self, result, tokens):
        """It reads what went through the model, which is more than what is billed."""
        self.assertGreaterEqual(result.usage.output_tokens, tokens)

    def model(self, name):
        client = cohere.AsyncClientV2(API_KEY, base_url=ROOT)
        return CohereModel(model(name), provider=CohereProvider(cohere_client=client))


if __name__ == "__main__":
    unittest.main()
