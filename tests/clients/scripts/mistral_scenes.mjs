// @mistralai/mistralai on scripted answers. ADDRESS is the server's root.
import assert from "node:assert/strict";
import { Mistral } from "@mistralai/mistralai";
import * as errors from "@mistralai/mistralai/models/errors";

const { ADDRESS } = process.env;
const client = new Mistral({ apiKey: "local", serverURL: ADDRESS });
const asks = (content, more = {}) => ({ model: "played", messages: [{ role: "user", content }], ...more });
const named = (name) => ({ type: "function", function: { name, parameters: { type: "object" } } });
const tools = [named("look"), named("find")];

async function deltas(body, of = client) {
  const found = [];
  for await (const event of await of.chat.stream(body)) found.push(event.data.choices[0].delta);
  return found;
}

// thinking
const [thought, said] = (await client.chat.complete(asks("think"))).choices[0].message.content;
assert.deepEqual([thought.type, thought.thinking[0].text, thought.closed], ["thinking", "hm hm", true]);
assert.equal(said.text, "yes!");
const contents = (await deltas(asks("think"))).map((delta) => delta.content);
const parts = contents.filter(Array.isArray).flat();
assert.deepEqual(parts.map((part) => part.type), ["thinking", "thinking", "text"]);
assert.equal(parts[2].text + contents.filter((each) => typeof each === "string").join(""), "yes!");

// two calls, whole and in fragments
const [first, second] = (await client.chat.complete(asks("two calls", { tools }))).choices[0].message.toolCalls;
assert.deepEqual([first.id, first.function.name, JSON.parse(first.function.arguments)], ["abcdefghi", "look", { at: "x" }]);
assert.deepEqual([second.index, JSON.parse(second.function.arguments)], [1, { in: ["y", 2] }]);
const calls = (await deltas(asks("two calls", { tools }))).flatMap((delta) => delta.toolCalls ?? []);
const added = (index) => calls.filter((call) => call.index === index).map((call) => call.function.arguments).join("");
assert.deepEqual([JSON.parse(added(0)), JSON.parse(added(1))], [{ at: "x" }, { in: ["y", 2] }]);
assert.deepEqual(calls.map((call) => call.function.name).filter(Boolean), ["look", "find"]);

// a stream that breaks, a full context, ids with a slash, a base URL with /v1
const events = [];
for await (const event of await client.chat.stream(asks("break"))) events.push(event.data);
assert.equal(events.at(-1).choices[0].finishReason, "error");
assert.equal((await client.chat.complete(asks("full"))).choices[0].finishReason, "model_length");
assert.equal((await client.models.retrieve({ modelId: "house/played" })).id, "played");
assert.equal((await client.models.list()).data[0].type, "base");
const elsewhere = new Mistral({ apiKey: "local", serverURL: `${ADDRESS}/v1` });
assert.equal((await elsewhere.chat.complete(asks("hello"))).choices[0].message.content, "fine");
assert.equal((await deltas(asks("hello"), elsewhere)).map((delta) => delta.content).join(""), "fine");

// null is not given; arguments as an object
const nulls = { temperature: null, topP: null, maxTokens: null, randomSeed: null, n: null, tools: null };
assert.equal((await client.chat.complete(asks("hello", nulls))).choices[0].message.content, "fine");
const toolCalls = [{ id: "abcdefghi", function: { name: "look", arguments: { at: "x" } } }];
const result = { role: "tool", content: "hello", toolCallId: "abcdefghi", name: "look" };
const turns = [{ role: "user", content: "look" }, { role: "assistant", content: "", toolCalls }, result];
assert.equal((await client.chat.complete({ model: "played", messages: turns })).choices[0].message.content, "fine");

// errors: status, class and the words
for (const [name, { message, code, param }] of Object.entries(JSON.parse(process.env.ERRORS))) {
  const error = await client.chat.complete(asks(name)).catch((reason) => reason);
  const status = Number(name.slice(0, 3));
  assert.equal(error.constructor, status === 422 ? errors.HTTPValidationError : errors.SDKError, name);
  const body = JSON.parse(error.body);
  assert.deepEqual([error.statusCode, body.message, body.code, body.param], [status, message, code, param]);
}
const refused = await client.chat.complete(asks("422")).catch((reason) => reason);
assert.deepEqual(refused.detail[0].loc, ["body", "temperature"]);

// tries again only when it is told to, and as late as the server says
const busy = await client.chat.complete(asks("busy")).catch((reason) => reason);
assert.deepEqual([busy.statusCode, busy.headers.get("retry-after")], [429, "1"]);
const backoff = { initialInterval: 10, maxInterval: 5000, exponent: 1.5, maxElapsedTime: 20000 };
const patient = new Mistral({ apiKey: "local", serverURL: ADDRESS, retryConfig: { strategy: "backoff", backoff } });
const start = Date.now();
assert.equal((await patient.chat.complete(asks("loading"))).choices[0].message.content, "fine");
assert.ok(Date.now() - start > 900);

// a client that leaves
const aborted = new AbortController();
try {
  for await (const event of await client.chat.stream(asks("wait"), { fetchOptions: { signal: aborted.signal } })) {
    aborted.abort();
  }
} catch (error) {
  assert.match(String(error), /abort/i);
}
console.log("fine");
