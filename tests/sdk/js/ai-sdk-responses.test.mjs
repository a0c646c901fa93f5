// The Vercel AI SDK with its OpenAI provider in its own default, the Responses API.
import { createOpenAI } from "@ai-sdk/openai";
import { suite } from "./ai-sdk.shared.mjs";
import { apiKey, baseURL, model } from "./common.mjs";

const openai = createOpenAI({ baseURL, apiKey });
// Without this it refers to earlier items by their ids, which nobody keeps.
suite("responses", (name) => openai.responses(model(name)), { providerOptions: { openai: { store: false } } });
