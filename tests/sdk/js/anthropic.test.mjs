// The official Anthropic SDK for JavaScript against a base URL.
import assert from "node:assert/strict";
import { test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";
import { z } from "zod";
import { apiKey, baseURL, clock, marked, model, onlyGateway, onlyPaged, onlyProvider, onlySpent, pdf, png, prefix, provider, spentKey, weather } from "./common.mjs";
import "./message-batches.mjs";

const root = baseURL.replace(/\/v1$/, ""); // this SDK adds /v1 by itself
const client = new Anthropic({ baseURL: root, apiKey, maxRetries: 0, timeout: 20_000 });
const retrying = new Anthropic({ baseURL: root, apiKey, maxRetries: 2, timeout: 20_000 });
const user = (content) => [{ role: "user", content }];
const ask = (name, content, more = {}) => ({ model: model(name), max_tokens: 500, messages: user(content), ...more });
const tools = [
  { name: "weather", description: "Forecast", input_schema: weather },
  { name: "clock", description: "Local time", input_schema: clock },
];
const Person = z.object({ name: z.string(), age: z.int(), tags: z.array(z.string()) });

test("message", async () => {
  const { mark } = marked();
  const answer = await client.messages.create(ask("echo", `hello ${mark}`));
  assert.equal(answer.content[0].text, `hello ${mark}`);
  assert.equal(answer.stop_reason, "end_turn");
  assert.deepEqual([answer.usage.input_tokens, answer.usage.output_tokens], [11, 5]);
  assert.ok(answer._request_id);
});

test("stream", async () => {
  const { mark } = marked();
  const kinds = new Set();
  let text = "";
  for await (const event of await client.messages.create({ ...ask("echo", mark), stream: true })) {
    kinds.add(event.type);
    if (event.type === "content_block_delta") text += event.delta.text;
  }
  assert.equal(text, mark);
  assert.ok(kinds.has("message_stop"));
});

test("stream helper", async () => {
  const { mark } = marked();
  const stream = client.messages.stream(ask("echo", mark));
  let text = "";
  stream.on("text", (delta) => (text += delta));
  const final = await stream.finalMessage();
  assert.equal(text, mark);
  assert.equal(final.stop_reason, "end_turn");
  assert.ok(final.usage.input_tokens > 0 && final.usage.output_tokens > 0);
});

test("parallel tools and their results", async () => {
  const first = await client.messages.create(ask("tools", "plan", { tools }));
  assert.equal(first.stop_reason, "tool_use");
  const calls = first.content.filter((b) => b.type === "tool_use");
  assert.deepEqual(calls.map((c) => c.name), ["weather", "clock"]);
  const results = calls.map((c) => ({ type: "tool_result", tool_use_id: c.id, content: "fine" }));
  const messages = [...user("plan"), { role: "assistant", content: first.content }, { role: "user", content: results }];
  const second = await client.messages.create({ ...ask("tools", ""), tools, messages });
  assert.equal(second.content[0].text, "weather: fine\nclock: fine");
});

test("streamed tools", async () => {
  const stream = client.messages.stream(ask("tools", "plan", { tools }));
  const final = await stream.finalMessage();
  assert.deepEqual(final.content.filter((b) => b.type === "tool_use").map((b) => b.input), [
    { city: "some city", days: 7 },
    { zone: "some zone" },
  ]);
});

test("a forced tool", async () => {
  const answer = await client.messages.create(ask("echo", "x", { tools, tool_choice: { type: "tool", name: "clock" } }));
  assert.deepEqual(answer.content.map((b) => b.name), ["clock"]);
});

test("structured output", async () => {
  const answer = await client.messages.parse({
    ...ask("json", "a person"),
    output_config: { format: zodOutputFormat(Person) },
  });
  assert.deepEqual(answer.parsed_output, { name: "some name", age: 7, tags: ["some tags"] });
});

test("image", async () => {
  const content = [
    { type: "image", source: { type: "base64", media_type: "image/png", data: png } },
    { type: "text", text: "look" },
  ];
  assert.match((await client.messages.create(ask("echo", content))).content[0].text, /image: png 1x1/);
});

test("thinking", async () => {
  const answer = await client.messages.create(ask("echo", "x", { max_tokens: 4000, thinking: { type: "adaptive" } }));
  assert.equal(answer.content.at(-1).text, "x");
  if (provider === "anthropic") assert.ok(answer.content[0].signature);
});

onlyProvider("anthropic", "thinking goes back with tool results", async () => {
  const more = { tools, thinking: { type: "enabled", budget_tokens: 1024 }, max_tokens: 4000 };
  const first = await client.messages.stream(ask("tools", "plan", more)).finalMessage();
  assert.deepEqual(first.content.map((b) => b.type), ["thinking", "tool_use", "tool_use"]);
  assert.ok(first.content[0].signature);
  const results = first.content.slice(1).map((c) => ({ type: "tool_result", tool_use_id: c.id, content: "fine" }));
  const messages = [...user("plan"), { role: "assistant", content: first.content }, { role: "user", content: results }];
  const second = await client.messages.create({ ...ask("tools", "", more), messages });
  assert.equal(second.content.at(-1).text, "weather: fine\nclock: fine");
});

onlyProvider("anthropic", "cache breakpoints are written once and then read", async () => {
  const { mark } = marked();
  const system = [{ type: "text", text: `${mark} ${"word ".repeat(2000)}`, cache_control: { type: "ephemeral", ttl: "1h" } }];
  const { usage: first } = await client.messages.create(ask("echo", mark, { system }));
  assert.ok(first.cache_creation_input_tokens > 2000);
  assert.equal(first.cache_creation.ephemeral_1h_input_tokens, first.cache_creation_input_tokens);
  const messages = [...user("a"), { role: "assistant", content: "b" }, ...user(mark)];
  const { usage } = await client.messages.create({ ...ask("echo", ""), system, messages });
  assert.deepEqual([usage.cache_creation_input_tokens, usage.cache_read_input_tokens], [0, first.cache_creation_input_tokens]);
});

onlyPaged("document", async () => {
  const { mark } = marked();
  const source = { type: "base64", media_type: "application/pdf", data: pdf };
  const answer = await client.messages.create(ask("echo", [{ type: "document", source, title: "map" }, { type: "text", text: mark }]));
  assert.match(answer.content[0].text, /document/);
  assert.match(answer.content[0].text, new RegExp(mark));
});

test("text document", async () => {
  const { mark } = marked();
  const source = { type: "text", media_type: "text/plain", data: `a hut ${mark}` };
  const answer = await client.messages.create(ask("echo", [{ type: "document", source }, { type: "text", text: "look" }]));
  assert.match(answer.content[0].text, /look/);
});

test("models", async () => {
  const ids = [];
  for await (const m of client.models.list()) ids.push(m.id);
  assert.ok(ids.includes(prefix + "echo"));
});

onlyProvider("anthropic", "count_tokens", async () => {
  const answer = await client.messages.countTokens({ model: model("echo"), messages: user("hello there") });
  assert.equal(answer.input_tokens, 9);
});

test("errors raise their classes", async () => {
  const { mark, rule } = marked();
  const wrong = new Anthropic({ baseURL: root, apiKey: "sk-wrong", maxRetries: 0 });
  await assert.rejects(wrong.messages.create(ask("echo", "x")), Anthropic.AuthenticationError);
  await assert.rejects(client.messages.create(ask("nope", "x")), Anthropic.NotFoundError);
  await assert.rejects(client.messages.create({ ...ask("echo", "x"), messages: [{ role: "robot", content: "x" }] }), Anthropic.BadRequestError);
  await assert.rejects(client.messages.create(ask("status-500", "x")), Anthropic.InternalServerError);
  await rule({ status: 429, retry_after_ms: 5 });
  await assert.rejects(client.messages.create(ask("echo", mark)), Anthropic.RateLimitError);
});

onlySpent("a spent budget is a 402 and not retried", async () => {
  const { mark, arrivals } = marked();
  const spent = new Anthropic({ baseURL: root, apiKey: spentKey, maxRetries: 2 });
  await assert.rejects(spent.messages.create(ask("echo", mark)), (e) => e.status === 402);
  assert.equal(await arrivals(), 0);
});

test("an error in the stream is raised", async () => {
  const { mark, rule } = marked();
  await rule({ error_after: 5 });
  const stream = await client.messages.create({ ...ask("echo", mark), stream: true });
  await assert.rejects(async () => {
    for await (const _ of stream);
  }, Anthropic.APIError);
});

onlyGateway("a cut stream is an error", async () => {
  const { mark, rule } = marked();
  await rule({ fault: "cut", at: 1500 });
  const stream = await client.messages.create({ ...ask("lorem", `50 ${mark}`), stream: true });
  await assert.rejects(async () => {
    for await (const _ of stream);
  }, Anthropic.APIError);
});

test("retries", async () => {
  const { mark, rule, arrivals } = marked();
  await rule({ status: 429, retry_after_ms: 5 }, { times: 1 });
  assert.equal((await retrying.messages.create(ask("echo", mark))).content[0].text, mark);
  assert.equal(await arrivals(), 2);
});

test("a bad request is not retried", async () => {
  const { mark, rule, arrivals } = marked();
  await rule({ status: 400 });
  await assert.rejects(retrying.messages.create(ask("echo", mark)), Anthropic.BadRequestError);
  assert.equal(await arrivals(), 1);
});
