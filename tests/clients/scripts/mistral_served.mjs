// @mistralai/mistralai on a real server with a tiny model. ADDRESS is the server's root, MODEL its model.
import assert from "node:assert/strict";
import { Mistral } from "@mistralai/mistralai";
import { z } from "zod";

const { ADDRESS, MODEL: model } = process.env;
const client = new Mistral({ apiKey: "local", serverURL: ADDRESS });
const messages = [{ role: "user", content: "Hello!" }];
const body = { model, messages, maxTokens: 12 };
const parameters = { type: "object", properties: { value: { enum: [1, 22] } }, required: ["value"], additionalProperties: false };
const tools = [{ type: "function", function: { name: "number", parameters } }];

async function read(stream) {
  const found = [];
  for await (const event of stream) found.push(event.data);
  return found;
}
const text = (events) => events.map((event) => event.choices[0].delta.content).join("");

// plain and streamed, usage, seeds, choices, stop, logprobs
const whole = await client.chat.complete({ ...body, temperature: 0 });
const events = await read(await client.chat.stream({ ...body, temperature: 0 }));
assert.equal(text(events), whole.choices[0].message.content);
assert.deepEqual([events.at(-1).usage.totalTokens, events.at(-1).choices[0].finishReason], [whole.usage.totalTokens, "length"]);
const seeded = { ...body, temperature: 1, randomSeed: 3 };
const pair = (await client.chat.complete({ ...seeded, n: 2 })).choices;
assert.ok(pair.length === 2 && pair[0].message.content !== pair[1].message.content);
const middle = text(events)[5];
assert.equal((await client.chat.complete({ ...body, temperature: 0, stop: middle })).choices[0].finishReason, "stop");

// tools: forced, named, the result sent back
const choice = { type: "function", function: { name: "number" } };
for (const toolChoice of ["any", "required", choice]) {
  const asked = { ...body, tools, toolChoice, parallelToolCalls: false, maxTokens: 80 };
  const { message, finishReason } = (await client.chat.complete(asked)).choices[0];
  const [call] = message.toolCalls;
  assert.equal(finishReason, "tool_calls");
  assert.match(call.id, /^[a-zA-Z0-9]{9}$/);
  assert.ok([1, 22].includes(JSON.parse(call.function.arguments).value));
  const fragments = (await read(await client.chat.stream(asked))).flatMap((event) => event.choices[0].delta.toolCalls ?? []);
  assert.ok([1, 22].includes(JSON.parse(fragments.map((each) => each.function.arguments).join("")).value));
  const result = { role: "tool", toolCallId: call.id, name: "number", content: "21" };
  const answer = await client.chat.complete({ ...body, messages: [...messages, message, result], tools, toolChoice: "none" });
  assert.ok(answer.choices[0].message.content);
}

// prefix, JSON that is parsed, the gap in code, models
const prefixed = [...messages, { role: "assistant", content: "Dear friend,", prefix: true }];
assert.ok((await client.chat.complete({ ...body, messages: prefixed })).choices[0].message.content.startsWith("Dear friend,"));
const responseFormat = z.object({ name: z.string().max(8), dry: z.boolean() });
const parsed = (await client.chat.parse({ ...body, responseFormat, maxTokens: 60 })).choices[0].message.parsed;
assert.deepEqual(Object.keys(parsed).sort(), ["dry", "name"]);
const stream = await client.chat.parseStream({ ...body, responseFormat, maxTokens: 60 });
assert.equal(typeof JSON.parse(text(await read(stream))).dry, "boolean");
const gap = { model, prompt: "def add(", suffix: "\n", maxTokens: 8, temperature: 0 };
const filled = (await client.fim.complete(gap)).choices[0].message.content;
assert.equal(text(await read(await client.fim.stream(gap))), filled);
assert.equal((await client.models.list()).data[0].id, model);
assert.equal((await client.models.retrieve({ modelId: "mistralai/Mistral-Medium-3.5-128B" })).id, model);
console.log("fine");
