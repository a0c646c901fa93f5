// Responses that the gateway keeps: what later ones build on, read back, and deleted.
import assert from "node:assert/strict";
import { marked, model, onlyGateway, weather } from "./common.mjs";

const tools = [{ type: "function", name: "weather", description: "Forecast", parameters: weather, strict: false }];

export function keptResponses(client) {
  onlyGateway("a response builds on those before it", async () => {
    const { mark } = marked();
    const ask = (input, previous_response_id) => client.responses.create({ model: model("echo"), input, previous_response_id });
    const first = await ask(`one ${mark}`);
    const second = await ask(`two ${mark}`, first.id);
    const stream = client.responses.stream({ model: model("echo"), input: `three ${mark}`, previous_response_id: second.id });
    const third = await stream.finalResponse();
    assert.deepEqual([third.output_text, third.previous_response_id, third.store], [`three ${mark}`, second.id, true]);
    const items = [];
    for await (const item of client.responses.inputItems.list(third.id, { order: "asc", limit: 2 })) items.push(item);
    assert.deepEqual(items.map((it) => it.content[0].text), ["one", "one", "two", "two", "three"].map((word) => `${word} ${mark}`));
    assert.equal((await client.responses.retrieve(third.id)).output_text, third.output_text);
  });

  onlyGateway("tools across turns", async () => {
    const first = await client.responses.create({ model: model("tools"), input: "plan", tools });
    const input = first.output
      .filter((item) => item.type === "function_call")
      .map(({ call_id }) => ({ type: "function_call_output", call_id, output: "fine" }));
    const second = await client.responses.create({ model: model("tools"), input, tools, previous_response_id: first.id });
    assert.equal(second.output_text, "weather: fine");
  });

  onlyGateway("a kept response is deleted", async () => {
    const { id } = await client.responses.create({ model: model("echo"), input: "x" });
    await client.responses.delete(id);
    await assert.rejects(client.responses.retrieve(id), { status: 404 });
    const next = client.responses.create({ model: model("echo"), input: "y", previous_response_id: id });
    await assert.rejects(next, { status: 400, code: "previous_response_not_found" });
  });
}
