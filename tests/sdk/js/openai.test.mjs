// The official OpenAI SDK for JavaScript against a base URL.
import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import { apiKey, baseURL, clock, marked, model, onlyEmbedding, onlyGateway, onlyPaged, onlyProvider, onlySpent, pdf, png, prefix, provider, spentKey, weather } from "./common.mjs";
import "./batches.mjs";
import "./media.mjs";

const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 20_000 });
const retrying = new OpenAI({ baseURL, apiKey, maxRetries: 2, timeout: 20_000 });
const user = (content) => [{ role: "user", content }];
const tools = [
  { type: "function", function: { name: "weather", description: "Forecast", parameters: weather } },
  { type: "function", function: { name: "clock", description: "Local time", parameters: clock } },
];
const Person = z.object({ name: z.string(), age: z.int(), tags: z.array(z.string()) });

test("chat", async () => {
  const { mark } = marked();
  const { data, response } = await client.chat.completions
    .create({ model: model("echo"), messages: user(`hello ${mark}`) })
    .withResponse();
  assert.equal(data.choices[0].message.content, `hello ${mark}`);
  assert.equal(data.choices[0].finish_reason, "stop");
  assert.deepEqual([data.usage.prompt_tokens, data.usage.completion_tokens], [11, 5]);
  assert.ok(response.headers.get("x-request-id"));
});

test("stream, with usage when asked and without when not", async () => {
  const { mark } = marked();
  for (const wanted of [true, false]) {
    const stream = await client.chat.completions.create({
      model: model("echo"),
      messages: user(mark),
      stream: true,
      ...(wanted && { stream_options: { include_usage: true } }),
    });
    let text = "";
    let usage = 0;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta?.content ?? "";
      if (chunk.usage) usage = chunk.usage.total_tokens;
    }
    assert.equal(text, mark);
    assert.equal(usage > 0, wanted);
  }
});

test("stream helper", async () => {
  const { mark } = marked();
  const stream = client.chat.completions.stream({ model: model("echo"), messages: user(mark) });
  let text = "";
  stream.on("content", (delta) => (text += delta));
  assert.equal(await stream.finalContent(), mark);
  assert.equal(text, mark);
});

test("parallel tools and their results", async () => {
  const messages = user("plan");
  const first = await client.chat.completions.create({ model: model("tools"), messages, tools });
  const { message, finish_reason } = first.choices[0];
  assert.equal(finish_reason, "tool_calls");
  assert.deepEqual(message.tool_calls.map((c) => c.function.name), ["weather", "clock"]);
  messages.push(message);
  for (const call of message.tool_calls) messages.push({ role: "tool", tool_call_id: call.id, content: "fine" });
  const second = await client.chat.completions.create({ model: model("tools"), messages, tools });
  assert.equal(second.choices[0].message.content, "weather: fine\nclock: fine");
});

test("streamed tools by the helper", async () => {
  const stream = client.chat.completions.stream({ model: model("tools"), messages: user("plan"), tools });
  const { tool_calls } = await stream.finalMessage();
  assert.deepEqual(tool_calls.map((c) => JSON.parse(c.function.arguments)), [
    { city: "some city", days: 7 },
    { zone: "some zone" },
  ]);
});

test("the tool runner runs its tools and ends", async () => {
  const runner = client.chat.completions.runTools({
    model: model("tools"),
    messages: user("plan"),
    tools: [
      {
        type: "function",
        function: { name: "weather", description: "Forecast", parameters: weather, parse: JSON.parse, function: ({ city }) => `rain in ${city}` },
      },
    ],
  });
  assert.equal(await runner.finalContent(), "weather: rain in some city");
});

test("a forced tool", async () => {
  const answer = await client.chat.completions.create({
    model: model("echo"),
    messages: user("x"),
    tools,
    tool_choice: { type: "function", function: { name: "clock" } },
  });
  assert.deepEqual(answer.choices[0].message.tool_calls.map((c) => c.function.name), ["clock"]);
});

test("structured output", async () => {
  const answer = await client.chat.completions.parse({
    model: model("json"),
    messages: user("a person"),
    response_format: zodResponseFormat(Person, "person"),
  });
  assert.deepEqual(answer.choices[0].message.parsed, { name: "some name", age: 7, tags: ["some tags"] });
});

test("image", async () => {
  const content = [
    { type: "text", text: "look" },
    { type: "image_url", image_url: { url: `data:image/png;base64,${png}` } },
  ];
  const answer = await client.chat.completions.create({ model: model("echo"), messages: user(content) });
  assert.match(answer.choices[0].message.content, /image: png 1x1/);
});

onlyPaged("document", async () => {
  const { mark } = marked();
  const file = { filename: "map.pdf", file_data: `data:application/pdf;base64,${pdf}` };
  const content = [{ type: "text", text: mark }, { type: "file", file }];
  const answer = await client.chat.completions.create({ model: model("echo"), messages: user(content) });
  assert.match(answer.choices[0].message.content, new RegExp(`${mark}[^]*document`));
});

onlyProvider("openai", "cached input is counted", async () => {
  const { mark } = marked();
  const messages = [...user("word ".repeat(2000)), { role: "assistant", content: "ok" }, ...user(mark)];
  const { usage } = await client.chat.completions.create({ model: model("echo"), messages, prompt_cache_key: mark });
  assert.equal(usage.prompt_tokens_details.cached_tokens, 2432);
  assert.ok(usage.prompt_tokens > 2432);
});

const untold = ["bedrock", "cohere"].includes(provider) && "this protocol does not tell reasoning from output";
test("reasoning is counted", { skip: untold }, async () => {
  const answer = await client.chat.completions.create({
    model: model("echo"),
    messages: user("x"),
    reasoning_effort: "high",
    max_completion_tokens: 4000,
  });
  assert.ok(answer.usage.completion_tokens_details.reasoning_tokens > 0);
});

test("models", async () => {
  const ids = [];
  for await (const m of client.models.list()) ids.push(m.id);
  assert.ok(ids.includes(prefix + "echo"));
});

onlyEmbedding("embeddings", async () => {
  const answer = await client.embeddings.create({ model: model("embed"), input: ["one", "two"], dimensions: 256 });
  assert.deepEqual(answer.data.map((d) => d.embedding.length), [256, 256]);
});

onlyProvider("openai", "several answers with log probabilities", async () => {
  const answer = await client.chat.completions.create({
    model: model("lorem"),
    messages: user("12"),
    n: 2,
    logprobs: true,
    top_logprobs: 3,
  });
  assert.deepEqual(answer.choices.map((c) => c.logprobs.content.length), [12, 12]);
});

test("errors raise their classes", async () => {
  const { mark, rule } = marked();
  const messages = user("x");
  const wrong = new OpenAI({ baseURL, apiKey: "sk-wrong", maxRetries: 0 });
  await assert.rejects(wrong.chat.completions.create({ model: model("echo"), messages }), OpenAI.AuthenticationError);
  await assert.rejects(client.chat.completions.create({ model: model("nope"), messages }), OpenAI.NotFoundError);
  await assert.rejects(
    client.chat.completions.create({ model: model("echo"), messages: [{ role: "robot", content: "x" }] }),
    OpenAI.BadRequestError,
  );
  await assert.rejects(client.chat.completions.create({ model: model("status-500"), messages }), OpenAI.InternalServerError);
  await rule({ status: 429, retry_after_ms: 5 });
  await assert.rejects(client.chat.completions.create({ model: model("echo"), messages: user(mark) }), OpenAI.RateLimitError);
});

onlySpent("a spent budget is a 402 and not retried", async () => {
  const { mark, arrivals } = marked();
  const spent = new OpenAI({ baseURL, apiKey: spentKey, maxRetries: 2 });
  await assert.rejects(spent.chat.completions.create({ model: model("echo"), messages: user(mark) }), (e) => e.status === 402);
  assert.equal(await arrivals(), 0);
});

test("an error in the stream is raised", async () => {
  const { mark, rule } = marked();
  await rule({ error_after: 4 });
  const stream = await client.chat.completions.create({ model: model("echo"), messages: user(mark), stream: true });
  await assert.rejects(async () => {
    for await (const _ of stream);
  }, OpenAI.APIError);
});

onlyGateway("a cut stream is an error", async () => {
  const { mark, rule } = marked();
  await rule({ fault: "cut", at: 3000 });
  const stream = await client.chat.completions.create({ model: model("lorem"), messages: user(`50 ${mark}`), stream: true });
  await assert.rejects(async () => {
    for await (const _ of stream);
  }, OpenAI.APIError);
});

test("retries", async () => {
  const { mark, rule, arrivals } = marked();
  await rule({ status: 429, retry_after_ms: 5 }, { times: 1 });
  const answer = await retrying.chat.completions.create({ model: model("echo"), messages: user(mark) });
  assert.equal(answer.choices[0].message.content, mark);
  assert.equal(await arrivals(), 2);
});

test("a bad request is not retried", async () => {
  const { mark, rule, arrivals } = marked();
  await rule({ status: 400 });
  await assert.rejects(retrying.chat.completions.create({ model: model("echo"), messages: user(mark) }), OpenAI.BadRequestError);
  assert.equal(await arrivals(), 1);
});
