// openai on a real server with a tiny model. ADDRESS is the server's root, MODEL its model.
import assert from "node:assert/strict";
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

const { ADDRESS, MODEL: model } = process.env;
const client = new OpenAI({ apiKey: "local", baseURL: `${ADDRESS}/v1`, maxRetries: 0 });
const { completions } = client.chat;
const messages = [{ role: "user", content: "Hello!" }];
const body = { model, messages, max_tokens: 12 };
const parameters = { type: "object", properties: { value: { enum: [1, 22] } }, required: ["value"], additionalProperties: false };
const tools = [{ type: "function", function: { name: "number", parameters, strict: true } }];

async function read(stream) {
  const found = [];
  for await (const chunk of stream) found.push(chunk);
  return found;
}
const text = (chunks) => chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("");

// plain and streamed, usage, choices, stop, logprobs
const whole = await completions.create({ ...body, temperature: 0 });
const chunks = await read(await completions.create({ ...body, temperature: 0, stream: true }));
assert.equal(text(chunks), whole.choices[0].message.content);
const counted = { ...body, stream: true, stream_options: { include_usage: true } };
assert.equal((await read(await completions.create(counted))).at(-1).usage.completion_tokens, 12);
const pair = (await completions.create({ ...body, n: 2, seed: 3, temperature: 1 })).choices;
assert.ok(pair.length === 2 && pair[0].message.content !== pair[1].message.content);
const stopped = await completions.create({ ...body, temperature: 0, stop: [text(chunks)[5]] });
assert.equal(stopped.choices[0].finish_reason, "stop");
const { logprobs } = (await completions.create({ ...body, logprobs: true, top_logprobs: 2 })).choices[0];
assert.ok(logprobs.content.length === 12 && logprobs.content.every((entry) => entry.top_logprobs.length === 2));

// tools: forced, named, the result sent back
for (const tool_choice of ["required", { type: "function", function: { name: "number" } }]) {
  const asked = { ...body, tools, tool_choice, parallel_tool_calls: false, max_tokens: 80 };
  const { message, finish_reason } = (await completions.create(asked)).choices[0];
  assert.equal(finish_reason, "tool_calls");
  assert.ok([1, 22].includes(JSON.parse(message.tool_calls[0].function.arguments).value));
  const final = (await completions.stream(asked).finalChatCompletion()).choices[0].message;
  assert.ok([1, 22].includes(JSON.parse(final.tool_calls[0].function.arguments).value));
  const result = { role: "tool", tool_call_id: message.tool_calls[0].id, content: "21" };
  const answer = await completions.create({ ...body, messages: [...messages, message, result], tools, tool_choice: "none" });
  assert.ok(answer.choices[0].message.content);
}

// prefix, JSON that is parsed, text, models
const prefixed = [...messages, { role: "assistant", content: "Dear friend,", prefix: true }];
assert.ok((await completions.create({ ...body, messages: prefixed })).choices[0].message.content.startsWith("Dear friend,"));
const response_format = zodResponseFormat(z.object({ name: z.string().max(8), dry: z.boolean() }), "river");
const parsed = (await completions.parse({ ...body, response_format, max_tokens: 60 })).choices[0].message.parsed;
assert.deepEqual(Object.keys(parsed).sort(), ["dry", "name"]);
assert.ok((await client.completions.create({ model, prompt: "Once", max_tokens: 4 })).choices[0].text);
assert.deepEqual((await client.models.list()).data.map((each) => each.id), [model]);
assert.equal((await client.models.retrieve("mistralai/Mistral-Medium-3.5-128B")).id, model);
console.log("fine");
