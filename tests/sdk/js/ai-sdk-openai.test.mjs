// The Vercel AI SDK with its OpenAI providers.
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { suite } from "./ai-sdk.shared.mjs";
import { apiKey, baseURL, model } from "./common.mjs";

const openai = createOpenAI({ baseURL, apiKey });
suite("openai", (name) => openai.chat(model(name)));

const compatible = createOpenAICompatible({ name: "outrigger", baseURL, apiKey, includeUsage: true, supportsStructuredOutputs: true });
suite("openai-compatible", (name) => compatible(model(name)));
