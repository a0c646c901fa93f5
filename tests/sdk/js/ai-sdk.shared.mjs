// What the Vercel AI SDK must be able to do through one of its providers.
import assert from "node:assert/strict";
import { test } from "node:test";
import { APICallError, generateText, jsonSchema, Output, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { clock, marked, pdf, png, provider, weather } from "./common.mjs";

const tools = () => ({
  weather: tool({ description: "Forecast", inputSchema: jsonSchema(weather), execute: async ({ city }) => `rain in ${city}` }),
  clock: tool({ description: "Local time", inputSchema: jsonSchema(clock), execute: async () => "noon" }),
});
// Google's models are told objects and not texts.
const results = /^weather: .*rain in some city.*\nclock: .*noon/;
const Person = z.object({ name: z.string(), age: z.int(), tags: z.array(z.string()) });

// `lacks` tells what a provider of theirs can't do, by the name of the test.
export function suite(name, model, more = {}, lacks = {}) {
  const call = { maxRetries: 0, maxOutputTokens: 500, ...more };
  const skip = (what) => ({ skip: lacks[what] ?? false });

  test(`${name}: text`, async () => {
    const { mark } = marked();
    const answer = await generateText({ ...call, model: model("echo"), prompt: `hello ${mark}` });
    assert.equal(answer.text, `hello ${mark}`);
    assert.equal(answer.finishReason, "stop");
    if (!lacks.bill) assert.deepEqual([answer.usage.inputTokens, answer.usage.outputTokens], [11, 5]);
  });

  test(`${name}: stream`, skip("stream"), async () => {
    const { mark } = marked();
    const answer = streamText({ ...call, model: model("echo"), prompt: mark });
    let text = "";
    for await (const delta of answer.textStream) text += delta;
    assert.equal(text, mark);
    if (!lacks.usage) assert.ok((await answer.usage).outputTokens > 0);
    assert.equal(await answer.finishReason, "stop");
  });

  test(`${name}: tools run and their results come back`, async () => {
    const answer = await generateText({ ...call, model: model("tools"), prompt: "plan", tools: tools(), stopWhen: stepCountIs(3) });
    assert.match(answer.text, results);
    assert.equal(answer.steps.length, 2);
  });

  test(`${name}: streamed tools`, skip("streamed tools"), async () => {
    const answer = streamText({ ...call, model: model("tools"), prompt: "plan", tools: tools(), stopWhen: stepCountIs(3) });
    let text = "";
    for await (const delta of answer.textStream) text += delta;
    assert.match(text, results);
  });

  test(`${name}: structured output`, async () => {
    const answer = await generateText({ ...call, model: model("json"), prompt: "a person, as json", output: Output.object({ schema: Person }) });
    assert.equal(typeof answer.output.name, "string");
    assert.ok(Number.isInteger(answer.output.age));
  });

  test(`${name}: image`, skip("image"), async () => {
    const content = [
      { type: "text", text: "look" },
      { type: "file", data: Buffer.from(png, "base64"), mediaType: "image/png" },
    ];
    const answer = await generateText({ ...call, model: model("echo"), messages: [{ role: "user", content }] });
    assert.match(answer.text, /image: png 1x1/);
  });

  const paged = provider === "cohere" && "Cohere takes no PDF";
  test(`${name}: document`, { skip: paged || (lacks.document ?? false) }, async () => {
    const { mark } = marked();
    const content = [
      { type: "text", text: mark },
      { type: "file", data: Buffer.from(pdf, "base64"), mediaType: "application/pdf", filename: "map.pdf" },
    ];
    const answer = await generateText({ ...call, model: model("echo"), messages: [{ role: "user", content }] });
    assert.match(answer.text, /document/);
  });

  test(`${name}: errors`, async () => {
    for (const [named, status] of [["no-such-model", [404, 400]], ["status-429", [429]]]) {
      await assert.rejects(generateText({ ...call, model: model(named), prompt: "x" }), (e) => {
        assert.ok(APICallError.isInstance(e));
        assert.ok(status.includes(e.statusCode), `${e.statusCode}`);
        return true;
      });
    }
  });

  test(`${name}: retries`, async () => {
    const { mark, rule, arrivals } = marked();
    await rule({ status: 429, retry_after_ms: 5 }, { times: 1 });
    const answer = await generateText({ ...call, maxRetries: 2, model: model("echo"), prompt: mark });
    assert.equal(answer.text, mark);
    assert.equal(await arrivals(), 2);
  });

  test(`${name}: an error in the stream is told`, async () => {
    const { mark, rule } = marked();
    await rule({ error_after: 5 });
    const errors = [];
    const answer = streamText({ ...call, model: model("echo"), prompt: mark, onError: ({ error }) => errors.push(error) });
    await assert.rejects(async () => {
      for await (const part of answer.fullStream) if (part.type === "error") throw part.error;
    });
    assert.ok(errors.length > 0);
  });
}
