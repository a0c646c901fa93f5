// The AWS SDK for JavaScript against a base URL: Converse and ConverseStream. It speaks HTTP/2 from the first byte, without
// TLS too; to the mock, which doesn't, it is told to speak HTTP/1.1.
import assert from "node:assert/strict";
import { test } from "node:test";
import { BedrockRuntimeClient, ConverseCommand, ConverseStreamCommand } from "@aws-sdk/client-bedrock-runtime";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { apiKey, baseURL, clock, gateway, marked, model, onlyGateway, onlyPaged, onlyProvider, onlySpent, pairId, pairSecret, pdf, png, spentKey, weather } from "./common.mjs";

const endpoint = baseURL.replace(/\/v1$/, "");
const signed = (accessKeyId, secretAccessKey, more = { maxAttempts: 1 }) =>
  new BedrockRuntimeClient({ endpoint, region: "us-east-1", credentials: { accessKeyId, secretAccessKey }, ...more });
// The key goes as a header in place of the signature: this SDK, like boto3, sends bearer keys over TLS only.
function connect(key, maxAttempts = 1) {
  const client = signed("none", "none", { maxAttempts, ...(!gateway && { requestHandler: new NodeHttpHandler() }) });
  const put = (next) => (args) => {
    args.request.headers.authorization = `Bearer ${key}`;
    return next(args);
  };
  client.middlewareStack.add(put, { step: "finalizeRequest", priority: "low" });
  return client;
}
const client = connect(apiKey);
const user = (...content) => [{ role: "user", content }];
const ask = (name, messages, more = {}) => ({ modelId: model(name), messages, inferenceConfig: { maxTokens: 500 }, ...more });
const converse = (name, messages, more, from = client) => from.send(new ConverseCommand(ask(name, messages, more)));
const text = (answer) => answer.output.message.content.map((b) => b.text ?? "").join("");
const toolConfig = {
  tools: [
    { toolSpec: { name: "weather", description: "Forecast", inputSchema: { json: weather } } },
    { toolSpec: { name: "clock", description: "Local time", inputSchema: { json: clock } } },
  ],
};
async function stream(name, messages, more, from = client) {
  const all = [];
  for await (const event of (await from.send(new ConverseStreamCommand(ask(name, messages, more)))).stream) all.push(event);
  return all;
}
const failed = (promise, names) => assert.rejects(promise, (e) => (assert.ok(names.includes(e.name), `${e.name}: ${e.message}`), true));

test("message", async () => {
  const { mark } = marked();
  const answer = await converse("echo", user({ text: `hello ${mark}` }), { system: [{ text: "be brief" }] });
  assert.equal(text(answer), `hello ${mark}`);
  assert.equal(answer.stopReason, "end_turn");
  assert.equal(answer.usage.outputTokens, 5);
});

test("stream", async () => {
  const { mark } = marked();
  const all = await stream("echo", user({ text: mark }));
  assert.equal(all.map((e) => e.contentBlockDelta?.delta.text ?? "").join(""), mark);
  assert.equal(all.find((e) => e.messageStop).messageStop.stopReason, "end_turn");
  assert.ok(all.find((e) => e.metadata).metadata.usage.outputTokens > 0);
});

test("parallel tools and their results", async () => {
  const messages = user({ text: "plan" });
  const answer = await converse("tools", messages, { toolConfig });
  assert.equal(answer.stopReason, "tool_use");
  const { message } = answer.output;
  const calls = message.content.filter((b) => b.toolUse).map((b) => b.toolUse);
  assert.deepEqual(calls.map((c) => c.name), ["weather", "clock"]);
  const results = calls.map((c) => ({ toolResult: { toolUseId: c.toolUseId, content: [{ text: "fine" }] } }));
  assert.equal(text(await converse("tools", [...messages, message, ...user(...results)], { toolConfig })), "weather: fine\nclock: fine");
});

test("streamed tools", async () => {
  const all = await stream("tools", user({ text: "plan" }), { toolConfig });
  assert.deepEqual(all.flatMap((e) => e.contentBlockStart?.start.toolUse?.name ?? []), ["weather", "clock"]);
  const last = Math.max(...all.flatMap((e) => e.contentBlockStart?.contentBlockIndex ?? []));
  const pieces = all.filter((e) => e.contentBlockDelta?.contentBlockIndex === last).map((e) => e.contentBlockDelta.delta.toolUse.input);
  assert.deepEqual(JSON.parse(pieces.join("")), { zone: "some zone" });
});

test("structured output", async () => {
  const jsonSchema = { schema: JSON.stringify(weather), name: "forecast" };
  const outputConfig = { textFormat: { type: "json_schema", structure: { jsonSchema } } };
  assert.deepEqual(JSON.parse(text(await converse("json", user({ text: "as json" }), { outputConfig }))), { city: "some city", days: 7 });
});

test("image", async () => {
  const image = { format: "png", source: { bytes: Buffer.from(png, "base64") } };
  assert.match(text(await converse("echo", user({ image }, { text: "look" }))), /image: png 1x1/);
});

test("document", async () => {
  const document = { format: "txt", name: "map", source: { bytes: Buffer.from("tiny text") } };
  assert.match(text(await converse("echo", user({ document }, { text: "look" }))), /look/);
});

onlyPaged("document with pages", async () => {
  const document = { format: "pdf", name: "map", source: { bytes: Buffer.from(pdf, "base64") } };
  assert.match(text(await converse("echo", user({ document }, { text: "look" }))), /document[^]*look|look[^]*document/);
});

onlyProvider("bedrock", "cache points are written once and then read", async () => {
  const { mark } = marked();
  const system = [{ text: `${mark} ${"word ".repeat(2000)}` }, { cachePoint: { type: "default", ttl: "1h" } }];
  const { usage: first } = await converse("echo", user({ text: mark }), { system });
  assert.ok(first.cacheWriteInputTokens > 2000);
  const messages = [...user({ text: "a" }), { role: "assistant", content: [{ text: "b" }] }, ...user({ text: mark })];
  const { usage } = await converse("echo", messages, { system });
  assert.equal(usage.cacheReadInputTokens, first.cacheWriteInputTokens);
});

onlyProvider("bedrock", "reasoning goes back with tool results", async () => {
  const more = {
    toolConfig,
    additionalModelRequestFields: { thinking: { type: "enabled", budget_tokens: 1024 } },
    inferenceConfig: { maxTokens: 4000 },
  };
  const messages = user({ text: "plan" });
  const { message } = (await converse("tools", messages, more)).output;
  assert.deepEqual(message.content.map((b) => Object.keys(b)[0]), ["reasoningContent", "toolUse", "toolUse"]);
  assert.ok(message.content[0].reasoningContent.reasoningText.signature);
  const results = message.content.slice(1).map((b) => ({ toolResult: { toolUseId: b.toolUse.toolUseId, content: [{ text: "fine" }] } }));
  const answer = await converse("tools", [...messages, message, ...user(...results)], more);
  assert.equal(answer.output.message.content.at(-1).text, "weather: fine\nclock: fine");
});

test("errors have their names", async () => {
  const { mark, rule } = marked();
  await failed(converse("echo", user({ text: "x" }), {}, connect("sk-wrong")), ["AccessDeniedException", "UnrecognizedClientException"]);
  await failed(converse("nope", user({ text: "x" })), ["ResourceNotFoundException", "ValidationException"]);
  await failed(converse("status-500", user({ text: "x" })), ["InternalServerException", "ServiceUnavailableException"]);
  await rule({ status: 429, retry_after_ms: 5 });
  await failed(converse("echo", user({ text: mark })), ["ThrottlingException"]);
});

test("signed requests", async () => {
  const { mark } = marked();
  const http1 = () => ({ maxAttempts: 1, requestHandler: new NodeHttpHandler() });
  for (const more of gateway ? [undefined, http1()] : [http1()]) {
    const client = signed(pairId, pairSecret, more);
    assert.equal(text(await converse("echo", user({ text: mark }), {}, client)), mark);
    assert.equal((await stream("echo", user({ text: mark }), {}, client)).map((e) => e.contentBlockDelta?.delta.text ?? "").join(""), mark);
  }
});

onlyGateway("wrong pairs", async () => {
  const { mark, arrivals } = marked();
  const ask = (client) => converse("echo", user({ text: mark }), {}, client);
  await failed(ask(signed(pairId, "another")), ["InvalidSignatureException"]);
  await failed(ask(signed("AKIAIOSFODNN7EXAMPLE", pairSecret)), ["UnrecognizedClientException"]);
  assert.equal(await arrivals(), 0);
});

onlySpent("a spent budget is not retried", async () => {
  const { mark, arrivals } = marked();
  await failed(converse("echo", user({ text: mark }), {}, connect(spentKey, 3)), ["ServiceQuotaExceededException"]);
  assert.equal(await arrivals(), 0);
});

test("an error in the stream is raised", async () => {
  const { mark, rule } = marked();
  await rule({ error_after: 3 });
  await assert.rejects(stream("echo", user({ text: `hello ${mark}` })));
});

onlyGateway("a cut stream is an error", async () => {
  const { mark, rule } = marked();
  await rule({ fault: "cut", at: 1500 });
  await assert.rejects(stream("lorem", user({ text: `50 ${mark}` })));
});

test("retries", async () => {
  const { mark, rule, arrivals } = marked();
  await rule({ status: 429, retry_after_ms: 5 }, { times: 1 });
  assert.equal(text(await converse("echo", user({ text: mark }), {}, connect(apiKey, 3))), mark);
  assert.equal(await arrivals(), 2);
});
