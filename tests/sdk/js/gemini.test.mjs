// The official Google Gen AI SDK for JavaScript against a base URL.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError, FunctionCallingConfigMode, GoogleGenAI, Type } from "@google/genai";
import { apiKey, baseURL, marked, model, onlyEmbedding, onlyGateway, onlyPaged, onlyProvider, onlySpent, pdf, png, prefix, provider, spentKey, weather } from "./common.mjs";

const root = baseURL.replace(/\/v1$/, ""); // this SDK adds the version by itself
const client = (key, apiVersion) =>
  new GoogleGenAI({ apiKey: key, vertexai: false, httpOptions: { baseUrl: root, timeout: 20_000, apiVersion } });
const { models, chats } = client(apiKey);
const ask = (name, contents, config = {}) => ({ model: model(name), contents, config });
const tools = [
  {
    functionDeclarations: [
      { name: "weather", description: "Forecast", parametersJsonSchema: weather },
      // Google's own form of a schema.
      { name: "clock", description: "Local time", parameters: { type: Type.OBJECT, properties: { zone: { type: Type.STRING } }, required: ["zone"] } },
    ],
  },
];
const user = (text) => ({ role: "user", parts: [{ text }] });
const text = (parts) => parts.filter((p) => !p.thought).map((p) => p.text ?? "").join("");

test("text", async () => {
  const { mark } = marked();
  const answer = await models.generateContent(ask("echo", `hello ${mark}`));
  assert.equal(answer.text, `hello ${mark}`);
  assert.equal(answer.candidates[0].finishReason, "STOP");
  assert.deepEqual([answer.usageMetadata.promptTokenCount, answer.usageMetadata.candidatesTokenCount], [11, 5]);
});

test("both versions of the path", async () => {
  for (const version of ["v1", "v1beta"]) {
    const answer = await client(apiKey, version).models.generateContent(ask("echo", "hello"));
    assert.equal(answer.text, "hello");
  }
});

test("stream", async () => {
  const { mark } = marked();
  let got = "";
  let last;
  for await (const chunk of await models.generateContentStream(ask("echo", mark))) {
    got += chunk.text ?? "";
    last = chunk;
  }
  assert.equal(got, mark);
  assert.equal(last.candidates[0].finishReason, "STOP");
  assert.ok(last.usageMetadata.totalTokenCount > 0);
});

test("a chat keeps its history", async () => {
  const { mark } = marked();
  const chat = chats.create({ model: model("echo") });
  let got = "";
  for await (const chunk of await chat.sendMessageStream({ message: `one ${mark}` })) got += chunk.text ?? "";
  assert.equal(got, `one ${mark}`);
  assert.equal((await chat.sendMessage({ message: `two ${mark}` })).text, `two ${mark}`);
});

test("parallel tools and their results", async () => {
  const first = await models.generateContent(ask("tools", [user("plan")], { tools }));
  assert.deepEqual(first.functionCalls.map((c) => c.name), ["weather", "clock"]);
  const parts = first.functionCalls.map((c) => ({ functionResponse: { id: c.id, name: c.name, response: { output: "fine" } } }));
  const contents = [user("plan"), first.candidates[0].content, { role: "user", parts }];
  const second = await models.generateContent(ask("tools", contents, { tools }));
  assert.equal(second.text, "weather: fine\nclock: fine");
});

test("streamed tools come whole", async () => {
  const calls = [];
  for await (const chunk of await models.generateContentStream(ask("tools", "plan", { tools }))) calls.push(...(chunk.functionCalls ?? []));
  assert.deepEqual(calls.map((c) => c.args), [{ city: "some city", days: 7 }, { zone: "some zone" }]);
});

test("a forced tool", async () => {
  const functionCallingConfig = { mode: FunctionCallingConfigMode.ANY, allowedFunctionNames: ["clock"] };
  const answer = await models.generateContent(ask("echo", "x", { tools, toolConfig: { functionCallingConfig } }));
  assert.deepEqual(answer.functionCalls.map((c) => c.name), ["clock"]);
});

test("structured output", async () => {
  const responseSchema = { type: Type.OBJECT, properties: { name: { type: Type.STRING } }, required: ["name"], propertyOrdering: ["name"] };
  const answer = await models.generateContent(ask("json", "a person", { responseMimeType: "application/json", responseSchema }));
  assert.deepEqual(JSON.parse(answer.text), { name: "some name" });
});

test("image", async () => {
  const contents = [{ role: "user", parts: [{ inlineData: { mimeType: "image/png", data: png } }, { text: "look" }] }];
  assert.match((await models.generateContent(ask("echo", contents))).text, /image: png 1x1/);
});

test("thoughts", async () => {
  const config = { maxOutputTokens: 4000, thinkingConfig: { includeThoughts: true, thinkingLevel: "LOW" } };
  const answer = await models.generateContent(ask("echo", "x", config));
  const { parts } = answer.candidates[0].content;
  assert.equal(text(parts), "x");
  if (provider !== "openai") assert.ok(parts.some((p) => p.thought));
});

onlyProvider("gemini", "signed thoughts go back with tool results", async () => {
  const config = { tools, maxOutputTokens: 4000, thinkingConfig: { includeThoughts: true, thinkingLevel: "LOW" } };
  const first = await models.generateContent(ask("tools", [user("plan")], config));
  assert.ok(first.candidates[0].content.parts.some((p) => p.thoughtSignature));
  const parts = first.functionCalls.map((c) => ({ functionResponse: { id: c.id, name: c.name, response: { output: "fine" } } }));
  const contents = [user("plan"), first.candidates[0].content, { role: "user", parts }];
  assert.equal((await models.generateContent(ask("tools", contents, config))).text, "weather: fine\nclock: fine");
});

onlyPaged("document", async () => {
  const { mark } = marked();
  const contents = [{ role: "user", parts: [{ inlineData: { mimeType: "application/pdf", data: pdf } }, { text: mark }] }];
  assert.match((await models.generateContent(ask("echo", contents))).text, /document/);
});

test("models", async () => {
  const names = [];
  for await (const m of await models.list()) names.push(m.name);
  assert.ok(names.includes(`models/${prefix}echo`));
});

test("count tokens", async () => {
  const answer = await models.countTokens({ model: model("echo"), contents: "hello there" });
  assert.ok(answer.totalTokens > 2);
});

onlyEmbedding("embeddings", async () => {
  const answer = await models.embedContent({ model: model("embed"), contents: ["one", "two"], config: { outputDimensionality: 256 } });
  assert.deepEqual(answer.embeddings.map((e) => e.values.length), [256, 256]);
});

onlySpent("a spent budget is a 402", async () => {
  const { mark, arrivals } = marked();
  await assert.rejects(client(spentKey).models.generateContent(ask("echo", mark)), (e) => e.status === 402);
  assert.equal(await arrivals(), 0);
});

test("an error in the stream is raised", async () => {
  const { mark, rule } = marked();
  await rule({ error_after: 5 });
  await assert.rejects(async () => {
    for await (const _ of await models.generateContentStream(ask("echo", mark)));
  });
});

onlyGateway("a cut stream is an error", async () => {
  const { mark, rule } = marked();
  await rule({ fault: "cut", at: 1500 });
  await assert.rejects(async () => {
    for await (const _ of await models.generateContentStream(ask("lorem", `50 ${mark}`)));
  });
});

// Last: the provider that was told to come back later is left alone for a moment.
test("errors raise", async () => {
  const { mark, rule } = marked();
  const fails = (status, run) => assert.rejects(run, (e) => e instanceof ApiError && e.status === status);
  await assert.rejects(client("sk-wrong").models.generateContent(ask("echo", "x")), (e) => [400, 401].includes(e.status));
  await fails(404, models.generateContent(ask("nope", "x")));
  await fails(400, models.generateContent(ask("echo", [{ role: "robot", parts: [{ text: "x" }] }])));
  await rule({ status: 429, retry_after_ms: 5 });
  await fails(429, models.generateContent(ask("echo", mark)));
});
