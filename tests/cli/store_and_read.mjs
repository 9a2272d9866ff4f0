// A client in another language: plain fetch against a server that `memtrace-sdk serve` runs.
// Prints one JSON list: [method, path, status, body] of every answer.
const [, , url, key] = process.argv;
const answers = [];

async function call(method, path, body, sent = key) {
  const headers = { "x-api-key": sent };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const answer = await fetch(url + path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  const text = await answer.text();
  answers.push([method, path, answer.status, text ? JSON.parse(text) : null]);
  return answers.at(-1)[3];
}

const agent = await call("POST", "/api/v1/agents", { name: "assistant" });
const session = await call("POST", "/api/v1/sessions", { agent_id: agent.id });
for (const content of ["User prefers dark mode", "User likes té 🫖", "User prefers dark mode"]) {
  await call("POST", "/api/v1/memories", { agent_id: agent.id, session_id: session.id, content, tags: ["ui"] });
}
await call("GET", `/api/v1/memories?agent_id=${agent.id}&order=asc`);
await call("POST", "/api/v1/search", { content_contains: "té" });
await call("POST", `/api/v1/sessions/${session.id}/context`, { since: "24h" });
await call("PUT", `/api/v1/sessions/${session.id}`, { status: "closed" });
await call("GET", `/api/v1/agents/${agent.id}/stats`);
await call("GET", "/api/v1/memories", undefined, "mtk_of_nobody");
console.log(JSON.stringify(answers));
