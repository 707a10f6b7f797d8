// openai on scripted answers. ADDRESS is the server's root.
import assert from "node:assert/strict";
import OpenAI from "openai";

const { ADDRESS } = process.env;
const baseURL = `${ADDRESS}/v1`;
const client = new OpenAI({ apiKey: "local", baseURL, maxRetries: 0 });
const asks = (content, more = {}) => ({ model: "played", messages: [{ role: "user", content }], ...more });
const named = (name) => ({ type: "function", function: { name, parameters: { type: "object" } } });
const tools = [named("look"), named("find")];

async function deltas(body) {
  const found = [];
  for await (const chunk of await client.chat.completions.create({ ...body, stream: true })) {
    found.push(chunk.choices[0].delta);
  }
  return found;
}

// thinking
const { content, reasoning_content } = (await client.chat.completions.create(asks("think"))).choices[0].message;
assert.deepEqual([content, reasoning_content], ["yes!", "hm hm"]);
const pieces = await deltas(asks("think"));
assert.equal(pieces.map((delta) => delta.reasoning_content ?? "").join(""), "hm hm");
assert.equal(pieces.map((delta) => delta.content ?? "").join(""), "yes!");

// two calls: whole, in fragments, and added up by the SDK's own helper
const whole = (await client.chat.completions.create(asks("two calls", { tools }))).choices[0].message.tool_calls;
assert.deepEqual(whole.map((call) => JSON.parse(call.function.arguments)), [{ at: "x" }, { in: ["y", 2] }]);
const calls = (await deltas(asks("two calls", { tools }))).flatMap((delta) => delta.tool_calls ?? []);
const added = (index) => calls.filter((call) => call.index === index).map((call) => call.function.arguments).join("");
assert.deepEqual([JSON.parse(added(0)), JSON.parse(added(1))], [{ at: "x" }, { in: ["y", 2] }]);
const final = (await client.chat.completions.stream(asks("two calls", { tools })).finalChatCompletion()).choices[0];
assert.deepEqual(final.message.tool_calls.map((call) => [call.id, call.function.name, JSON.parse(call.function.arguments)]), [
  ["abcdefghi", "look", { at: "x" }],
  ["jklmnopqr", "find", { in: ["y", 2] }],
]);

// streams that break, a full context, ids with a slash
for (const scene of ["break", "break by a bug"]) {
  const broken = await deltas(asks(scene)).catch((reason) => reason);
  assert.ok(broken instanceof OpenAI.APIError, scene);
  assert.match(broken.message, scene === "break" ? /signal 9/ : /its log has the details/);
}
assert.equal((await client.chat.completions.create(asks("full"))).choices[0].finish_reason, "length");
assert.equal((await client.models.retrieve("house/played")).id, "played");
assert.deepEqual((await client.models.list()).data.map((model) => model.id), ["played"]);

// null is not given; OpenAI's own fields; the last chunk of usage
const nulls = { temperature: null, top_p: null, max_tokens: null, max_completion_tokens: null, seed: null, stop: null };
const extras = { user: "u", store: false, verbosity: "low", service_tier: "flex", logit_bias: { 5: -1 }, odd: { deep: 1 } };
assert.equal((await client.chat.completions.create(asks("hello", { ...nulls, ...extras }))).choices[0].message.content, "fine");
const chunks = [];
const counted = asks("hello", { stream: true, stream_options: { include_usage: true } });
for await (const chunk of await client.chat.completions.create(counted)) chunks.push(chunk);
assert.deepEqual([chunks.at(-1).choices, chunks.at(-1).usage.total_tokens], [[], 12]);

// errors: status, class and the words
const kinds = {
  400: OpenAI.BadRequestError, 401: OpenAI.AuthenticationError, 403: OpenAI.PermissionDeniedError,
  404: OpenAI.NotFoundError, 422: OpenAI.UnprocessableEntityError, 429: OpenAI.RateLimitError,
  500: OpenAI.InternalServerError, 503: OpenAI.InternalServerError,
};
for (const [name, { message, code, param }] of Object.entries(JSON.parse(process.env.ERRORS))) {
  const error = await client.chat.completions.create(asks(name)).catch((reason) => reason);
  const status = Number(name.slice(0, 3));
  assert.equal(error.constructor, kinds[status], name);
  assert.deepEqual([error.status, error.error.message, error.code, error.param], [status, message, code, param]);
  assert.ok(error.message.includes(message) && error.requestID, name);
}

// tries again by itself, as late as the server says, and not where it is no use
const patient = new OpenAI({ apiKey: "local", baseURL });
const start = Date.now();
assert.equal((await patient.chat.completions.create(asks("busy"))).choices[0].message.content, "fine");
assert.ok(Date.now() - start > 900);
await assert.rejects(patient.chat.completions.create(asks("500")), OpenAI.InternalServerError);

// a client that leaves
for await (const chunk of await client.chat.completions.create(asks("wait", { stream: true }))) break;
console.log("fine");
