import { defineTeam, defineWorkflow, parallel, step } from '@continuo/agents';
import { clerkAgent, echoAgent } from '@continuo/agents/demo';
import type { Component } from '@continuo/protocol';
import { createGateway, createMemoryStore, systemClock, systemRandom } from '@continuo/server';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { openModelGateway } from './model-gateway.ts';
import { until } from './waiting.ts';

const Output = z.object({
  run_id: z.string(),
  status: z.string(),
  content: z.string(),
  events: z.array(z.looseObject({ event: z.string(), event_index: z.number(), run_id: z.string() })),
});

/** A workflow with a team in it, in which somebody asks a person. */
const office = defineWorkflow({
  id: 'office',
  name: 'Office',
  steps: [
    parallel('desks', [
      step(
        'ask',
        defineTeam({ id: 'desk', name: 'Desk', mode: 'broadcast', members: [echoAgent, clerkAgent] }),
      ),
      step('note', (input) => `noted ${String(input)}`),
    ]),
    step('end', (input) => `${String(input)}\n\nThat is all.`),
  ],
  onInterrupt: 'restart',
});

it('R-16 a question of a member’s member pauses the run, and its answer reaches who asked', async () => {
  const gateway = await openModelGateway(office);
  try {
    await gateway.send('paint the door');
    await gateway.approve();
    const { content, status } = await gateway.final(1);
    expect(status).toBe('ok');
    expect(content).toBe(
      'ask:\nEcho:\necho: paint the door\n\nClerk:\nI can do that: paint the door. May I? Done: paint the door.\n\nnote:\nnoted paint the door\n\nThat is all.',
    );
    expect(gateway.reports).toEqual([]);
  } finally {
    await gateway.close();
  }
});

it('R-22 a workflow goes on at another server after its last finished step', async () => {
  const counts = { first: 0, member: 0, last: 0 };
  const gate = Promise.withResolvers<void>();
  const member: Component = {
    kind: 'agent',
    id: 'm',
    name: 'M',
    async *run() {
      counts.member++;
      yield { type: 'text.delta', text: 'member' };
    },
  };
  const workflow = defineWorkflow({
    id: 'w',
    name: 'W',
    steps: [
      step('first', () => `first ${++counts.first}`),
      step('team', defineTeam({ id: 't', name: 'T', mode: 'broadcast', members: [member] })),
      step('last', async () => {
        counts.last++;
        await gate.promise;
        return 'last';
      }),
    ],
    onInterrupt: 'restart',
    deltaJoinMs: 0,
  });
  const store = createMemoryStore({ clock: systemClock, random: systemRandom });
  const options = { agents: [workflow], store, lease: { leaseMs: 600, renewMs: 200 }, drainMs: 50 };
  const one = createGateway({ ...options, report: () => {} });
  const two = createGateway({ ...options, report: () => {} });
  const [at, next] = [await one.listen({ port: 0 }), await two.listen({ port: 0 })];
  try {
    const started = await fetch(`${at.url}/workflows/w/runs`, {
      method: 'POST',
      body: new URLSearchParams({ message: 'go', background: 'true', stream: 'false' }),
    });
    const { run_id } = z.object({ run_id: z.string() }).parse(await started.json());
    await until('the last step began', 5_000, () => counts.last === 1);
    await one.close();
    await until('it began again', 5_000, () => counts.last === 2);
    gate.resolve();
    const outputOf = async (): Promise<z.infer<typeof Output>> =>
      Output.parse(await (await fetch(`${next.url}/workflows/w/runs/${run_id}`)).json());
    await until('its end', 5_000, async () => (await outputOf()).status === 'COMPLETED');
    const { content, events } = await outputOf();
    expect(content).toBe('last');
    expect(counts).toEqual({ first: 1, member: 1, last: 2 });
    expect(events.map(({ event_index }) => event_index)).toEqual(events.map((_event, index) => index));
    const again = events.slice(events.findIndex(({ event }) => event === 'RunAttempt'));
    expect(again.map(({ event, run_id: whose }) => `${event} ${whose.slice(run_id.length)}`.trim())).toEqual([
      'RunAttempt',
      'StepStarted',
      'StepCompleted',
      'StepStarted',
      'TeamRunStarted .team',
      'TeamRunContentCompleted .team',
      'TeamRunCompleted .team',
      'StepCompleted',
      'StepStarted',
      'StepCompleted',
      'RunContentCompleted',
      'WorkflowCompleted',
    ]);
    expect(again[4]).toMatchObject({ workflow_run_id: run_id, step_name: 'team', parent_run_id: run_id });
  } finally {
    gate.resolve();
    await two.close();
    await one.close();
    await store.close();
  }
});
