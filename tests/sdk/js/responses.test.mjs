// The Responses API through the official OpenAI SDK for JavaScript.
import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI from "openai";
import { zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import { apiKey, baseURL, clock, marked, model, onlyGateway, onlyPaged, onlyProvider, onlySpent, pdf, png, provider, spentKey, weather } from "./common.mjs";
import { keptResponses } from "./kept.mjs";

const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 20_000 });
const retrying = new OpenAI({ baseURL, apiKey, maxRetries: 2, timeout: 20_000 });
const tools = [
  { type: "function", name: "weather", description: "Forecast", parameters: weather, strict: false },
  { type: "function", name: "clock", description: "Local time", parameters: clock, strict: false },
];
const Person = z.object({ name: z.string(), age: z.int(), tags: z.array(z.string()) });

keptResponses(client);

test("text", async () => {
  const { mark } = marked();
  const { data, response } = await client.responses.create({ model: model("echo"), input: `hello ${mark}` }).withResponse();
  assert.equal(data.output_text, `hello ${mark}`);
  assert.equal(data.status, "completed");
  assert.deepEqual([data.usage.input_tokens, data.usage.output_tokens], [11, 5]);
  assert.ok(response.headers.get("x-request-id"));
});

test("stream", async () => {
  const { mark } = marked();
  const stream = await client.responses.create({ model: model("echo"), input: mark, stream: true });
  let text = "";
  let next = 0;
  let last;
  for await (const event of stream) {
    assert.equal(event.sequence_number, next++);
    if (event.type === "response.output_text.delta") text += event.delta;
    last = event;
  }
  assert.equal(text, mark);
  assert.equal(last.type, "response.completed");
});

test("stream helper", async () => {
  const { mark } = marked();
  const stream = client.responses.stream({ model: model("echo"), input: mark });
  let text = "";
  stream.on("response.output_text.delta", (event) => (text = event.snapshot));
  const final = await stream.finalResponse();
  assert.equal(final.output_text, mark);
  assert.equal(text, mark);
});

test("parallel tools and their results", async () => {
  const input = [{ role: "user", content: "plan" }];
  const first = await client.responses.create({ model: model("tools"), input, tools });
  const calls = first.output.filter((item) => item.type === "function_call");
  assert.deepEqual(calls.map((c) => c.name), ["weather", "clock"]);
  input.push(...first.output);
  for (const { call_id } of calls) input.push({ type: "function_call_output", call_id, output: "fine" });
  const second = await client.responses.create({ model: model("tools"), input, tools });
  assert.equal(second.output_text, "weather: fine\nclock: fine");
});

test("streamed tools by the helper", async () => {
  const stream = client.responses.stream({ model: model("tools"), input: "plan", tools });
  const { output } = await stream.finalResponse();
  assert.deepEqual(output.map((c) => JSON.parse(c.arguments)), [{ city: "some city", days: 7 }, { zone: "some zone" }]);
});

test("a custom tool by the helper", async () => {
  const { mark } = marked();
  const stream = client.responses.stream({ model: model("tools"), input: `ls ${mark}`, tools: [{ type: "custom", name: "shell" }] });
  const { output } = await stream.finalResponse();
  assert.deepEqual([output[0].type, output[0].name], ["custom_tool_call", "shell"]);
  assert.ok(output[0].input.length > 0);
});

test("reasoning comes back by the helper and is taken back", async () => {
  const more = { model: model("echo"), store: false, reasoning: { effort: "low", summary: "auto" }, max_output_tokens: 4000 };
  const input = [{ role: "user", content: "one" }];
  const first = await client.responses.stream({ ...more, input }).finalResponse();
  // Converse and Cohere do not tell reasoning from output.
  const untold = ["bedrock", "cohere"].includes(provider);
  assert.equal(first.usage.output_tokens_details.reasoning_tokens > 0, !untold);
  const said = first.output.map(({ parsed, ...item }) =>
    item.content ? { ...item, content: item.content.map(({ parsed, ...part }) => part) } : item,
  );
  input.push(...said, { role: "user", content: "two" });
  const second = await client.responses.create({ ...more, input });
  assert.equal(second.output_text, "two");
});

test("structured output", async () => {
  const asked = { model: model("json"), input: "a person", text: { format: zodTextFormat(Person, "person") } };
  const answer = await client.responses.parse(asked);
  assert.deepEqual(answer.output_parsed, { name: "some name", age: 7, tags: ["some tags"] });
  const streamed = await client.responses.stream(asked).finalResponse();
  assert.deepEqual(streamed.output_parsed, answer.output_parsed);
});

test("image", async () => {
  const content = [
    { type: "input_text", text: "look" },
    { type: "input_image", image_url: `data:image/png;base64,${png}`, detail: "auto" },
  ];
  const answer = await client.responses.create({ model: model("echo"), input: [{ role: "user", content }] });
  assert.match(answer.output_text, /image: png 1x1/);
});

onlyPaged("document", async () => {
  const file = { type: "input_file", filename: "map.pdf", file_data: `data:application/pdf;base64,${pdf}` };
  const input = [{ role: "user", content: [{ type: "input_text", text: "look" }, file] }];
  assert.match((await client.responses.create({ model: model("echo"), input })).output_text, /document/);
});

onlyProvider("responses", "cached input is counted", async () => {
  const { mark } = marked();
  const input = [
    { role: "user", content: "word ".repeat(2000) },
    { role: "assistant", content: "ok" },
    { role: "user", content: mark },
  ];
  const { usage } = await client.responses.create({ model: model("echo"), input, prompt_cache_key: mark });
  assert.ok(usage.input_tokens_details.cached_tokens > 2000);
});

test("errors raise their classes", async () => {
  const { mark, rule } = marked();
  const wrong = new OpenAI({ baseURL, apiKey: "sk-wrong", maxRetries: 0 });
  await assert.rejects(wrong.responses.create({ model: model("echo"), input: "x" }), OpenAI.AuthenticationError);
  await assert.rejects(client.responses.create({ model: model("nope"), input: "x" }), OpenAI.NotFoundError);
  await assert.rejects(client.responses.create({ model: model("echo"), input: [{ role: "robot", content: "x" }] }), OpenAI.BadRequestError);
  await assert.rejects(client.responses.create({ model: model("echo"), input: "x", previous_response_id: "resp_1" }), OpenAI.BadRequestError);
  await assert.rejects(client.responses.create({ model: model("status-500"), input: "x" }), OpenAI.InternalServerError);
  await rule({ status: 429, retry_after_ms: 5 });
  await assert.rejects(client.responses.create({ model: model("echo"), input: mark }), OpenAI.RateLimitError);
});

onlySpent("a spent budget is a 402 and not retried", async () => {
  const { mark, arrivals } = marked();
  const spent = new OpenAI({ baseURL, apiKey: spentKey, maxRetries: 2 });
  await assert.rejects(spent.responses.create({ model: model("echo"), input: mark }), (e) => e.status === 402);
  assert.equal(await arrivals(), 0);
});

test("an error in the stream is told or raised", async () => {
  const { mark, rule } = marked();
  await rule({ error_after: 5 });
  const stream = await client.responses.create({ model: model("echo"), input: mark, stream: true });
  const told = [];
  try {
    for await (const event of stream) told.push(event.type);
  } catch (error) {
    assert.ok(error instanceof OpenAI.APIError);
    told.push("raised");
  }
  assert.ok(["raised", "response.failed"].includes(told.at(-1)), told.at(-1));
});

onlyGateway("a cut stream is an error", async () => {
  const { mark, rule } = marked();
  await rule({ fault: "cut", at: 3000 });
  await assert.rejects(async () => {
    const stream = await client.responses.create({ model: model("lorem"), input: `50 ${mark}`, stream: true });
    for await (const _ of stream);
  }, OpenAI.APIError);
});

test("retries", async () => {
  const { mark, rule, arrivals } = marked();
  await rule({ status: 429, retry_after_ms: 5 }, { times: 1 });
  const answer = await retrying.responses.create({ model: model("echo"), input: mark });
  assert.equal(answer.output_text, mark);
  assert.equal(await arrivals(), 2);
});
