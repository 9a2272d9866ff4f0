// A client in another language: plain fetch against a server that `memtrace-sdk serve-fake` runs.
// Prints one JSON list: [method, path, status, body] of every answer, and "cut" where there was none.
const [, , url, key] = process.argv;
const answers = [];

async function call(method, path, body) {
  const headers = { "x-api-key": key };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  try {
    const answer = await fetch(url + path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
    const text = await answer.text();
    answers.push([method, path, answer.status, text ? JSON.parse(text) : null]);
    return answers.at(-1)[3];
  } catch (error) {
    answers.push([method, path, "cut", null]);
  }
}

async function control(method, path, body) {
  const answer = await fetch(`${url}/_fake/${path}`, { method, body: body === undefined ? undefined : JSON.stringify(body) });
  if (!answer.ok) throw new Error(await answer.text());
}

const agent = await call("POST", "/api/v1/agents", { name: "assistant" });
const session = await call("POST", "/api/v1/sessions", { agent_id: agent.id });
for (const content of ["User prefers dark mode", "User likes té 🫖"]) {
  await call("POST", "/api/v1/memories", { agent_id: agent.id, session_id: session.id, content, tags: ["ui"] });
}
await call("POST", `/api/v1/sessions/${session.id}/context`, { since: "24h" });
await call("POST", "/api/v1/search", { content_contains: "dark" });
await control("POST", "clock/advance", { seconds: 60 });
await call("GET", `/api/v1/memories?agent_id=${agent.id}&order=asc`);
await call("PUT", `/api/v1/sessions/${session.id}`, { status: "closed" });
await call("GET", `/api/v1/agents/${agent.id}/stats`);
await call("GET", "/api/v1/agents/nobody");
await control("POST", "faults", { faults: [{ kind: "status", status: 429 }, { kind: "reset", on: "agents.list", applied: true }] });
await call("GET", "/api/v1/sessions");
await call("GET", "/api/v1/agents");
await control("DELETE", "faults");
await call("GET", "/api/v1/agents");
console.log(JSON.stringify(answers));
