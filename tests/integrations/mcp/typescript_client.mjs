// Drives both tool sets of `memtrace-sdk mcp` with the TypeScript client: node typescript_client.mjs PACKAGE PYTHON FOLDER
import assert from 'node:assert/strict';
import path from 'node:path';

const [name, python, folder] = process.argv.slice(2);
const isOne = name === '@modelcontextprotocol/sdk';
const { Client } = await import(isOne ? `${name}/client/index.js` : name);
const { StdioClientTransport } = await import(isOne ? `${name}/client/stdio.js` : `${name}/stdio`);

const THEIRS = {
  memtrace_remember: ['agent_id', 'content'],
  memtrace_recall: ['agent_id'],
  memtrace_search: [],
  memtrace_decide: ['agent_id', 'decision', 'reasoning'],
  memtrace_session_create: ['agent_id'],
  memtrace_session_context: ['session_id'],
  memtrace_agent_register: ['name'],
};

async function connected(file, args, work) {
  const client = new Client({ name: 'typescript', version: '1' });
  const env = { ...process.env, MEMTRACE_BASE_URL: `sqlite:///${path.join(folder, file)}`, MEMTRACE_API_KEY: '' };
  await client.connect(new StdioClientTransport({ command: python, args: ['-m', 'memtrace', 'mcp', ...args], env }));
  try {
    await work(client);
  } finally {
    await client.close();
  }
}

async function called(client, tool, args) {
  const result = await client.callTool({ name: tool, arguments: args });
  assert.ok(!result.isError, JSON.stringify(result.content));
  assert.ok(result.structuredContent, `${tool} has no structured content`);
  return result;
}

function text(result) {
  return result.content[0].text;
}

// ---- the seven tools of Memtrace's own server

await connected('all.db', [], async (client) => {
  const { tools } = await client.listTools(); // from here on the client checks results against output schemas
  assert.deepEqual(Object.fromEntries(tools.map((tool) => [tool.name, tool.inputSchema.required])), THEIRS);
  assert.ok(tools.every((tool) => tool.title && tool.outputSchema));
  const agent = (await called(client, 'memtrace_agent_register', { name: 'reviewer' })).structuredContent;
  const session = (await called(client, 'memtrace_session_create', { agent_id: 'reviewer' })).structuredContent;
  assert.equal(session.agent_id, agent.id);
  const asked = { agent_id: 'reviewer', session_id: session.id };
  const stored = await called(client, 'memtrace_remember', { ...asked, content: 'User drinks tea', metadata: { n: 1 } });
  assert.deepEqual(JSON.parse(text(stored)), stored.structuredContent);
  assert.ok(stored.structuredContent.time && stored.structuredContent.dedup_key);
  await called(client, 'memtrace_decide', { agent_id: 'reviewer', decision: 'Serve cake', reasoning: 'it is Sunday' });
  assert.equal((await called(client, 'memtrace_recall', { agent_id: 'reviewer' })).structuredContent.count, 2);
  const found = await called(client, 'memtrace_search', { query: 'what does the user drink?' });
  assert.equal(found.structuredContent.results[0].content, 'User drinks tea');
  assert.match(text(await called(client, 'memtrace_session_context', { session_id: session.id })), /User drinks tea/);
  const wrong = await client.callTool({ name: 'memtrace_recall', arguments: { agent_id: 'reviewer', limit: 5000 } });
  assert.ok(wrong.isError);

  assert.deepEqual((await client.listResources()).resources.map((each) => each.uri), ['memtrace://agents']);
  assert.equal((await client.listResourceTemplates()).resourceTemplates.length, 2);
  const read = await client.readResource({ uri: 'memtrace://agents/reviewer/memories' });
  assert.equal(JSON.parse(read.contents[0].text).count, 2);
  const prompt = await client.getPrompt({
    name: 'what_do_you_remember',
    arguments: { agent_id: 'reviewer', topic: 'tea' },
  });
  assert.match(prompt.messages[0].content.text, /User drinks tea/);
  await assert.rejects(client.readResource({ uri: 'memtrace://nothing' }));
});

// ---- the tools of one agent, found again after a restart

await connected('one.db', ['--agent', 'assistant'], async (client) => {
  const { tools } = await client.listTools();
  assert.deepEqual(tools.map((tool) => tool.name), ['remember', 'recall', 'search', 'decide']);
  const stored = await called(client, 'remember', { content: 'User prefers dark mode', tags: ['ui'] });
  assert.ok(stored.structuredContent.stored);
  await called(client, 'decide', { decision: 'Use dark mode', reasoning: 'preferred' });
  const again = await called(client, 'remember', { content: 'User prefers dark mode' });
  assert.equal(again.structuredContent.stored, false);
});
await connected('one.db', ['--agent', 'assistant'], async (client) => {
  await client.listTools();
  const found = await called(client, 'search', { query: 'which mode does the user like?' });
  assert.ok(found.structuredContent.memories.some((memory) => memory.content === 'User prefers dark mode'));
  const { resources } = await client.listResources();
  assert.deepEqual(resources.map((each) => each.uri), ['memtrace://agents/assistant/memories']);
});

console.log(`${name}: both tool sets, resources and prompts work`);
