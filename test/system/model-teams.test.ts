import { defineAgent, defineTeam, defineTool, defineWorkflow, step } from '@continuo/agents';
import { type Component, createSseReader } from '@continuo/protocol';
import { createGateway, createMemoryStore, systemClock, systemRandom } from '@continuo/server';
import { type Fixture, LLMock } from '@copilotkit/aimock';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { type ModelRequest, openModelEndpoint } from './model-endpoint.ts';

/** How long a run may take: three requests with their waits, on a slow machine. */
const RUN_MS = 15_000;
const STALL_MS = 500;
const KEY = 'sk-test-0123456789abcdef';
const closers: (() => Promise<void>)[] = [];

afterEach(async () => {
  vi.unstubAllEnvs();
  for (const close of closers.splice(0).reverse()) await close();
});

type Event = Readonly<Record<string, unknown>>;

/** A helper that works, and a subject that uses a tool: in the team it leads, in the workflow it is the first step. */
const helper = defineAgent({
  id: 'helper',
  name: 'Helper',
  instructions: '',
  model: 'helper',
  stallMs: STALL_MS,
});
const note = defineTool({
  name: 'note',
  description: 'Notes something.',
  input: z.object({ text: z.string() }),
  run: ({ text }) => `noted ${text}`,
});
const team = defineTeam({
  id: 'team',
  name: 'Team',
  mode: 'coordinate',
  model: 'subject',
  members: [helper],
  stallMs: STALL_MS,
});
const workflow = defineWorkflow({
  id: 'flow',
  name: 'Flow',
  steps: [
    step(
      'draft',
      defineAgent({
        id: 'writer',
        name: 'Writer',
        instructions: '',
        model: 'subject',
        tools: [note],
        stallMs: STALL_MS,
      }),
    ),
    step('check', helper),
  ],
});
/** The call that the subject makes first. */
const CALLS = new Map<Component, { readonly name: string; readonly arguments: string }>([
  [team, { name: 'delegate', arguments: '{"member":"helper","message":"look"}' }],
  [workflow, { name: 'note', arguments: '{"text":"it"}' }],
]);

/** aimock as the endpoint: `odd`, and where it does not match, all is well. */
async function mockOf(component: Component, odd: readonly Fixture[]): Promise<LLMock> {
  const call = CALLS.get(component);
  if (!call) throw new Error('no call');
  const mock = new LLMock({ port: 0, host: '127.0.0.1' });
  mock.addFixtures([
    ...odd,
    { match: { model: 'helper' }, response: { content: 'Helped.' } },
    { match: { model: 'subject', hasToolResult: true }, response: { content: 'Done.' } },
    { match: { model: 'subject' }, response: { toolCalls: [{ id: 'c1', ...call }] } },
  ]);
  await mock.start();
  closers.push(() => mock.stop());
  vi.stubEnv('OPENAI_BASE_URL', `${mock.url}/v1`);
  vi.stubEnv('OPENAI_API_KEY', KEY);
  return mock;
}

type Answer = (request: ModelRequest) => void;

const says =
  (text: string): Answer =>
  (request) => {
    request.say(text);
    request.finish();
  };

/** An endpoint that does what aimock cannot: see there. The subject is asked a second time when its tool has answered. */
async function endpointOf(
  component: Component,
  { subject = says('Done.'), helper: helps = says('Helped.') }: { subject?: Answer; helper?: Answer },
): Promise<void> {
  const call = { index: 0, id: 'c1', type: 'function', function: CALLS.get(component) };
  const endpoint = await openModelEndpoint((request) => {
    const { model, messages } = request.body;
    if (model === 'helper') return helps(request);
    if (JSON.stringify(messages).includes('"tool"')) return subject(request);
    request.event({ choices: [{ index: 0, delta: { tool_calls: [call] }, finish_reason: 'tool_calls' }] });
    request.end();
  });
  closers.push(endpoint.close);
  vi.stubEnv('OPENAI_BASE_URL', endpoint.url);
  vi.stubEnv('OPENAI_API_KEY', KEY);
}

interface Ended {
  readonly events: readonly Event[];
  /** The run's own last word. */
  readonly end: Event;
}

/** Runs it to the end of its stream, and holds it to what is true of every run. */
async function ended(component: Component): Promise<Ended> {
  const store = createMemoryStore({ clock: systemClock, random: systemRandom });
  const gateway = createGateway({ agents: [component], store, drainMs: 0, report: () => {} });
  closers.push(async () => {
    await gateway.close();
    await store.close();
  });
  const { url } = await gateway.listen({ port: 0 });
  const response = await fetch(`${url}/${component.kind}s/${component.id}/runs`, {
    method: 'POST',
    body: new URLSearchParams({ message: 'go' }),
    signal: AbortSignal.timeout(RUN_MS),
  });
  const reader = createSseReader();
  const events: Event[] = [];
  for await (const text of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    for (const { data } of reader.push(text)) events.push(JSON.parse(data));
  }
  const terminals = events.filter(({ event }) =>
    /^(Team)?(Run|Workflow)(Completed|Error|Cancelled)$/.test(String(event)),
  );
  const [first] = events;
  const own = terminals.filter(({ run_id }) => run_id === first?.run_id);
  expect(own).toHaveLength(1);
  expect(own[0]).toBe(events.at(-1));
  expect(events.map(({ event_index }) => event_index)).toEqual(events.map((_event, index) => index));
  const begun = events.filter(({ event }) => /^(Team)?(Run|Workflow)Started$/.test(String(event)));
  const ids = (list: readonly Event[]): readonly string[] =>
    list.map(({ run_id }) => String(run_id)).toSorted();
  expect(ids(terminals), 'each member that began has one end').toEqual(ids(begun));
  return { events, end: own[0] ?? {} };
}

const breaks: Answer = (request) => {
  request.say('half of');
  request.event({ error: { message: 'upstream gone', type: 'server_error' } });
};

const BROKE = /^The model's answer broke off.*Send the message again\.$/;
const LIMITED = /^The model endpoint takes no more requests for now \(429\)/;
const SILENT = /^The model endpoint sent nothing for 0.5 s/;
const refused: Fixture['response'] = {
  status: 429,
  error: { message: 'slow down', type: 'rate_limit_error' },
  retryAfter: 1,
};

describe.each([
  ['a team', team, 'TeamRun', (reason: string) => reason],
  ['a workflow', workflow, 'Workflow', (reason: string) => reason.replace('The step "draft" failed: ', '')],
] as const)('R-1 %s', (_what, component, prefix, plain) => {
  const fails = async (reason: RegExp): Promise<Ended> => {
    const run = await ended(component);
    expect(run.end).toMatchObject({ event: `${prefix}Error`, error_type: 'error' });
    expect(plain(String(run.end.content))).toMatch(reason);
    return run;
  };
  const ends = async (content: string): Promise<Ended> => {
    const run = await ended(component);
    expect(run.end).toMatchObject({ event: `${prefix}Completed`, content });
    return run;
  };
  const last = component === team ? 'Done.' : 'Helped.';

  it('ends well where nothing fails', async () => {
    await mockOf(component, []);
    await ends(last);
  });

  it('ends failed when the connection is cut in mid-stream', async () => {
    const mock = await mockOf(component, [
      {
        match: { model: 'subject', hasToolResult: true },
        response: { content: 'abcdefghij'.repeat(10) },
        chunkSize: 10,
        truncateAfterChunks: 6,
        latency: 20,
      },
    ]);
    await fails(BROKE);
    expect(mock.getRequests().filter(({ body }) => Object(body).model === 'subject')).toHaveLength(2);
  });

  it('ends failed at an error in mid-stream', async () => {
    await endpointOf(component, { subject: breaks });
    await fails(/^The model's answer broke off: upstream gone\./);
  });

  it('waits a 429 out', async () => {
    const match = { model: 'subject', sequenceIndex: 0 };
    const mock = await mockOf(component, [{ match, response: refused }]);
    await ends(last);
    expect(mock.getRequests()[0]?.response.status).toBe(429);
  });

  it('ends failed at a 429 that stays', async () => {
    await mockOf(component, [{ match: { model: 'subject', hasToolResult: true }, response: refused }]);
    await fails(LIMITED);
  });

  it.each<[string, Answer]>([
    ['before its first word', () => {}],
    ['in mid-stream', (request) => request.say('half')],
  ])('ends failed when the endpoint hangs %s', async (_when, hang) => {
    await endpointOf(component, { subject: hang });
    await fails(SILENT);
  });

  it.each(['{"member": ', '{"member":"nobody","text":7}', '[]'])(
    'tells the model of wrong arguments: %s',
    async (wrong) => {
      const call = { id: 'c1', name: CALLS.get(component)?.name ?? '', arguments: wrong };
      await mockOf(component, [
        { match: { model: 'subject', hasToolResult: false }, response: { toolCalls: [call] } },
      ]);
      const { events } = await ends(last);
      const errors = events.filter(({ event }) => String(event).endsWith('ToolCallError'));
      expect(errors).toMatchObject([{ error: expect.stringMatching(/^The arguments are wrong: /) }]);
    },
  );
});

describe('R-1 a member whose model', () => {
  const failures: readonly [string, Answer, string][] = [
    [
      'refuses',
      (request) => request.refuse(400, { message: 'too long' }),
      'The model endpoint refused the request (400): too long.',
    ],
    ['hangs', () => {}, 'The model endpoint sent nothing for 0.5 s.'],
    ['breaks off', breaks, "The model's answer broke off: upstream gone."],
  ];

  it.each(failures)('%s is told to the leader of its team, which answers', async (_what, odd, reason) => {
    await endpointOf(team, { helper: odd });
    const { events, end } = await ended(team);
    expect(end).toMatchObject({ event: 'TeamRunCompleted', content: 'Done.' });
    const failed = events.find(({ event }) => event === 'TeamToolCallError');
    expect(failed?.error).toContain(reason);
  });

  it.each(failures)('%s ends its workflow, with the name of the step', async (_what, odd, reason) => {
    await endpointOf(workflow, { helper: odd });
    const { end } = await ended(workflow);
    expect(end).toMatchObject({ event: 'WorkflowError' });
    expect(end.content).toContain(`The step "check" failed: ${reason}`);
  });
});
