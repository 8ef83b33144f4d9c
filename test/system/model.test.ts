import { assistantFromEnvironment, defineAgent, defineTool } from '@continuo/agents';
import type { Component } from '@continuo/protocol';
import { type Fixture, LLMock } from '@copilotkit/aimock';
import { afterEach, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { type ModelEndpoint, type ModelRequest, openModelEndpoint } from './model-endpoint.ts';
import { type ModelGateway, openModelGateway } from './model-gateway.ts';
import { until } from './waiting.ts';

const KEY = 'sk-test-0123456789abcdef';
const closers: (() => Promise<void>)[] = [];

afterEach(async () => {
  vi.unstubAllEnvs();
  for (const close of closers.splice(0).reverse()) await close();
});

/** aimock as the endpoint, with these answers. */
async function mockOf(...fixtures: readonly Fixture[]): Promise<LLMock> {
  const mock = new LLMock({ port: 0, host: '127.0.0.1' });
  mock.addFixtures([...fixtures]);
  await mock.start();
  closers.push(() => mock.stop());
  vi.stubEnv('OPENAI_BASE_URL', `${mock.url}/v1`);
  vi.stubEnv('OPENAI_API_KEY', KEY);
  return mock;
}

/** An endpoint that does what aimock cannot: see there. */
async function endpointOf(answer: (request: ModelRequest) => void): Promise<ModelEndpoint> {
  const endpoint = await openModelEndpoint(answer);
  closers.push(endpoint.close);
  vi.stubEnv('OPENAI_BASE_URL', endpoint.url);
  vi.stubEnv('OPENAI_API_KEY', KEY);
  return endpoint;
}

async function gatewayOf(agent: Component): Promise<ModelGateway> {
  const gateway = await openModelGateway(agent);
  closers.push(gateway.close);
  return gateway;
}

const plain = (options: { readonly stallMs?: number } = {}): Component =>
  defineAgent({ id: 'plain', name: 'Plain', instructions: 'Be brief.', model: 'm-1', ...options });

it('G-9 an answer streams: reasoning, tokens, and the whole of it at the end', async () => {
  const content = 'Hello there. '.repeat(40).trim();
  const mock = await mockOf({
    match: { userMessage: 'hello' },
    response: { content, reasoning: 'A greeting.' },
    chunkSize: 10,
    streamingProfile: { tps: 100 },
  });
  vi.stubEnv('CONTINUO_MODEL', 'm-1');
  const assistant = assistantFromEnvironment(process.env);
  if (!assistant) throw new Error('no assistant');
  const gateway = await gatewayOf(assistant);
  expect(await gateway.ask('hello')).toEqual({ content, status: 'ok', reason: '' });
  const tokens = gateway.contents('token_stream');
  expect(tokens.join('')).toBe(content);
  expect(tokens.length).toBeGreaterThan(3);
  expect(gateway.contents('reasoning_stream').join('')).toBe('A greeting.');
  expect(gateway.contents('stream_end')).toEqual([content]);
  const request = mock.getLastRequest();
  expect(request?.body).toMatchObject({
    model: 'm-1',
    stream: true,
    messages: [{ role: 'system' }, { content: 'hello' }],
  });
});

it('G-9 a second message is asked with the first and its answer', async () => {
  const mock = await mockOf({ match: {}, response: { content: 'Yes.' } });
  const gateway = await gatewayOf(plain());
  await gateway.ask('one');
  await gateway.ask('two');
  expect(mock.getLastRequest()?.body).toMatchObject({
    messages: [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'one' },
      { role: 'assistant', content: 'Yes.' },
      { role: 'user', content: 'two' },
    ],
  });
});

it('G-9 two tool calls of one answer are run side by side, and their results told to the model', async () => {
  const mock = await mockOf(
    { match: { hasToolResult: true }, response: { content: 'Paris is warmer.' } },
    {
      match: { userMessage: 'warmer' },
      response: {
        content: 'Let me look.',
        toolCalls: [
          { id: 'c1', name: 'weather', arguments: '{"city":"Paris"}' },
          { id: 'c2', name: 'weather', arguments: '{"city":"Oslo"}' },
        ],
      },
    },
  );
  const degrees = new Map([
    ['Paris', 21],
    ['Oslo', 9],
  ]);
  const together = Promise.withResolvers<void>();
  let running = 0;
  const weather = defineTool({
    name: 'weather',
    description: 'Degrees in a city.',
    input: z.object({ city: z.string() }),
    async run({ city }, { progress }) {
      progress({ looking: city });
      if (++running === 2) together.resolve();
      await together.promise;
      return { city, degrees: degrees.get(city) };
    },
  });
  const gateway = await gatewayOf(
    defineAgent({ id: 'w', name: 'W', instructions: 'Be brief.', model: 'm-1', tools: [weather] }),
  );
  expect(await gateway.ask('which is warmer?')).toMatchObject({
    content: 'Let me look.\n\nParis is warmer.',
    status: 'ok',
  });
  const seen = gateway.events.flatMap(({ type, data }) => (type.startsWith('tool_') ? [[type, data]] : []));
  expect(seen).toMatchObject([
    ['tool_call_stream', { tool_call: { id: 'c1', name: 'weather', args: { city: 'Paris' } } }],
    ['tool_call_stream', { tool_call: { id: 'c2', name: 'weather', args: { city: 'Oslo' } } }],
    ['tool_progress_stream', { tool_call_id: 'c1', progress: { looking: 'Paris' } }],
    ['tool_progress_stream', { tool_call_id: 'c2', progress: { looking: 'Oslo' } }],
    ['tool_result_stream', { tool_call_id: 'c1', result: { city: 'Paris', degrees: 21 } }],
    ['tool_result_stream', { tool_call_id: 'c2', result: { city: 'Oslo', degrees: 9 } }],
  ]);
  expect(mock.getRequests()).toHaveLength(2);
  const told = mock.getLastRequest()?.body as { messages: readonly object[] } | undefined;
  expect(told?.messages.slice(2)).toMatchObject([
    { role: 'assistant', tool_calls: [{ id: 'c1' }, { id: 'c2' }] },
    { role: 'tool', tool_call_id: 'c1', content: '{"city":"Paris","degrees":21}' },
    { role: 'tool', tool_call_id: 'c2', content: '{"city":"Oslo","degrees":9}' },
  ]);
});

it('G-9 a connection that is cut in mid-stream ends the turn with what was said', async () => {
  const mock = await mockOf({
    match: {},
    response: { content: 'abcdefghij'.repeat(10) },
    chunkSize: 10,
    truncateAfterChunks: 6,
    latency: 20, // else its words go down with the connection
  });
  const gateway = await gatewayOf(plain());
  const { content, status, reason } = await gateway.ask('go');
  expect(status).toBe('error');
  expect(content).toMatch(/^(abcdefghij){1,6}$/);
  expect(reason).toMatch(/^The model's answer broke off.*Send the message again\.$/);
  expect(mock.getRequests()).toHaveLength(1);
});

it('G-9 an error inside a stream ends the turn with what was said, and shows no key', async () => {
  const endpoint = await endpointOf((request) => {
    request.say('half of');
    request.event({ error: { message: `upstream of ${KEY} gone`, type: 'server_error' } });
  });
  const gateway = await gatewayOf(plain());
  expect(await gateway.ask('go')).toEqual({
    content: 'half of',
    status: 'error',
    reason: "The model's answer broke off: upstream of [key] gone. Send the message again.",
  });
  expect(gateway.reports).toHaveLength(1);
  expect(gateway.reports[0]).toMatch(
    /^the agent "plain" in run \S+ failed: ModelError: .*cause.*upstream of \[key\]/s,
  );
  expect(String(gateway.reports)).not.toContain(KEY);
  expect(endpoint.requests).toHaveLength(1);
  expect(endpoint.requests[0]?.headers.authorization).toBe(`Bearer ${KEY}`);
});

it('G-9 a 429 is waited out as Retry-After says, and the turn is answered', async () => {
  const mock = await mockOf(
    {
      match: { sequenceIndex: 0 },
      response: { status: 429, error: { message: 'slow down', type: 'rate_limit_error' }, retryAfter: 2 },
    },
    { match: {}, response: { content: 'Now.' } },
  );
  const gateway = await gatewayOf(plain());
  expect(await gateway.ask('go')).toMatchObject({ content: 'Now.', status: 'ok' });
  const [refused, answered] = mock.getRequests();
  expect([refused?.response.status, answered?.response.status]).toEqual([429, 200]);
  expect((answered?.timestamp ?? 0) - (refused?.timestamp ?? 0)).toBeGreaterThanOrEqual(1_950);
  expect(gateway.contents('token_stream').join('')).toBe('Now.');
});

it.each([
  [
    401,
    `Incorrect API key provided: ${KEY}`,
    'The model endpoint refused the API key (401). Check OPENAI_API_KEY.',
  ],
  [
    404,
    'no such model',
    'The model endpoint has no model "m-1" (404). Check CONTINUO_MODEL and OPENAI_BASE_URL.',
  ],
  [400, 'too long', 'The model endpoint refused the request (400): too long.'],
])('G-9 a %i ends the turn at once with what to do', async (status, message, reason) => {
  const mock = await mockOf({ match: {}, response: { status, error: { message } } });
  const gateway = await gatewayOf(plain());
  expect(await gateway.ask('go')).toEqual({ content: '', status: 'error', reason });
  expect(mock.getRequests()).toHaveLength(1);
  expect(gateway.reports).toHaveLength(1);
  expect(gateway.reports[0]).toMatch(new RegExp(`\\[cause\\].*status: ${status}`, 's'));
  expect(gateway.reports[0]).toContain(message.replace(KEY, '[key]'));
  expect(JSON.stringify([gateway.reports, gateway.events])).not.toContain(KEY);
});

it('G-9 a 502 ends the turn after three tries; the log has what the endpoint said', async () => {
  const endpoint = await endpointOf((request) =>
    request.refuse(502, { message: `no upstream for ${KEY}` }, { 'retry-after': '0' }),
  );
  const gateway = await gatewayOf(plain());
  expect(await gateway.ask('go')).toMatchObject({
    status: 'error',
    reason: expect.stringContaining('(502)'),
  });
  expect(endpoint.requests).toHaveLength(3);
  expect(gateway.reports).toHaveLength(1);
  expect(gateway.reports[0]).toMatch(/\[cause\].*no upstream for \[key\].*status: 502/s);
  expect(JSON.stringify([gateway.reports, gateway.events])).not.toContain(KEY);
});

it.each([
  ['a web page', 'text/html', '<!doctype html><title>Welcome</title>'],
  ['a JSON object', 'application/json', '{"detail":"Welcome"}'],
  ['a word', 'text/plain', 'Welcome'],
])(
  'G-9 an endpoint that answers with %s ends the turn at once with what to look at',
  async (_what, type, body) => {
    const endpoint = await endpointOf((request) => request.page(type, body));
    const gateway = await gatewayOf(plain());
    expect(await gateway.ask('go')).toEqual({
      content: '',
      status: 'error',
      reason:
        'The model endpoint does not speak the protocol of OpenAI. Check OPENAI_BASE_URL: often its /v1 is missing.',
    });
    expect(endpoint.requests).toHaveLength(1);
    expect(gateway.reports[0]).toMatch(/\[cause\].*Welcome/s);
  },
);

it('G-9 an answer that was cut at its longest is an answer, and the log says so', async () => {
  await endpointOf((request) => {
    request.say('half of');
    request.finish('length');
  });
  const gateway = await gatewayOf(plain());
  expect(await gateway.ask('go')).toEqual({ content: 'half of', status: 'ok', reason: '' });
  expect(gateway.reports).toEqual([
    expect.stringMatching(
      /^a report of the agent "plain" in run \S+: Error: The answer of the model "m-1" was cut/,
    ),
  ]);
});

it('G-9 an agent around a model that asks a person goes on without saying anything twice', async () => {
  const endpoint = await endpointOf((request) => {
    request.say('Ready.');
    request.finish();
  });
  const inner = plain();
  const gateway = await gatewayOf({
    ...inner,
    async *run(context) {
      yield* inner.run(context);
      if (context.approvals.length === 0) {
        yield { type: 'approval.requested', callId: 'c1', name: 'go', args: {} };
      } else yield { type: 'text.delta', text: ' Gone.' };
    },
  });
  await gateway.send('go');
  await gateway.approve();
  expect(await gateway.final(1)).toEqual({ content: 'Ready. Gone.', status: 'ok', reason: '' });
  expect(gateway.contents('token_stream')).toEqual(['Ready.', ' Gone.']);
  expect(gateway.contents('stream_end')).toEqual(['Ready.', 'Ready. Gone.']);
  expect(endpoint.requests).toHaveLength(1);
});

it('G-9 an endpoint that is not there ends the turn after three tries with what to do', async () => {
  const endpoint = await openModelEndpoint(() => {});
  await endpoint.close();
  vi.stubEnv('OPENAI_BASE_URL', endpoint.url);
  const gateway = await gatewayOf(plain());
  const { status, reason } = await gateway.ask('go');
  expect(status).toBe('error');
  expect(reason).toMatch(
    /^The model endpoint cannot be reached.*Check OPENAI_BASE_URL and whether it runs\.$/,
  );
});

it.each<[string, (request: ModelRequest) => void, string]>([
  ['from the start', () => {}, ''],
  ['in the middle', (request) => request.say('half'), 'half'],
])('G-9 a hang %s ends the turn after stallMs, and the request', async (_what, answer, content) => {
  const endpoint = await endpointOf(answer);
  const gateway = await gatewayOf(plain({ stallMs: 500 }));
  expect(await gateway.ask('go')).toEqual({
    content,
    status: 'error',
    reason:
      'The model endpoint sent nothing for 0.5 s. Send the message again, or look whether the endpoint works.',
  });
  await until('the request is closed', 2_000, () => endpoint.requests[0]?.closedAt !== null);
  expect(endpoint.requests).toHaveLength(1);
  expect(gateway.reports).toHaveLength(1);
  expect(gateway.reports[0]).toMatch(/\[cause\]: Error: (There was no response|The response fell silent)/);
});

it('G-9 an endpoint that only sends keep-alives while its model thinks is no hang', async () => {
  const endpoint = await endpointOf((request) => {
    let count = 0;
    const timer = setInterval(() => {
      if (++count < 20) return request.comment();
      clearInterval(timer);
      request.say('thought');
      request.finish();
    }, 100);
  });
  const gateway = await gatewayOf(plain({ stallMs: 1_000 }));
  expect(await gateway.ask('go')).toMatchObject({ content: 'thought', status: 'ok' });
  expect(endpoint.requests).toHaveLength(1);
});

it.each<[string, (request: ModelRequest) => void, string]>([
  ['before its first word', () => {}, ''],
  ['in mid-stream', (request) => request.say('half'), 'half'],
])('G-9 an abort %s stops the request at the model within 100 ms', async (_what, answer, content) => {
  const endpoint = await endpointOf(answer);
  const gateway = await gatewayOf(plain());
  const delays: number[] = [];
  // The quickest of three: a machine that is busy with something else proves nothing.
  for (let turn = 1; turn <= 3; turn++) {
    const words = content.repeat(turn);
    await gateway.send('go');
    await until('the model is asked', 10_000, () => endpoint.requests.length === turn);
    await until('its words are seen', 10_000, () => gateway.contents('token_stream').join('') === words);
    const askedAt = await gateway.abort();
    const request = endpoint.requests[turn - 1];
    await until('the request is closed', 2_000, () => request?.closedAt !== null);
    delays.push((request?.closedAt ?? Number.NaN) - askedAt);
    expect(await gateway.final(turn)).toMatchObject({ content, status: 'aborted' });
  }
  expect(Math.min(...delays)).toBeLessThan(100);
  expect(endpoint.requests).toHaveLength(3);
});
