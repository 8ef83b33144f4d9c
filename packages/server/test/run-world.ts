import type { Component } from '@continuo/protocol';
import { type Answer, openGateway, type TestGateway } from './gateway.ts';
import { createLife, type Life } from './life.ts';
import { nth, only } from './pick.ts';
import { createPuppet, type Puppet, type PuppetRun } from './puppet.ts';
import type { TestStream } from './stream.ts';

/** A run of an agent whose words the test speaks, and the routes of door 4 that lead to it. */
export interface RunWorld {
  readonly world: TestGateway;
  readonly puppet: Puppet;
  readonly runId: string;
  /** The agent's side of it, as it was run last. */
  readonly run: PuppetRun;
  /** The stream that the start was answered with. */
  readonly stream: TestStream;
  /** `/agents/puppet/runs/<run_id>`, and what is below it. */
  path(more?: string): string;
  say(...texts: readonly string[]): Promise<void>;
  /** Asks a person for each of these calls, and pauses. */
  pause(...calls: readonly string[]): Promise<void>;
  finish(): Promise<void>;
  resume(body?: object, at?: TestGateway): Promise<TestStream>;
  /** `GET .../events` with this query, as a stream. */
  events(query?: string, lastEventId?: string, at?: TestGateway): Promise<TestStream>;
  poll(query: string, at?: TestGateway): Promise<Answer>;
  /** Answers these calls with yes, in the background. */
  approve(...calls: readonly string[]): Promise<Answer>;
  /** Another server on the same data, where nothing of it is in memory. */
  elsewhere(): TestGateway;
  /** Its server stops at once. */
  die(): void;
}

export async function beginRun(
  more: Partial<Component> = {},
  body: object = {},
  reports: readonly string[] = [],
): Promise<RunWorld> {
  const puppet = createPuppet('puppet', more);
  const lives: Life[] = [];
  const world = openGateway({
    agents: [puppet.component],
    reports,
    within(clock, store) {
      const life = createLife(clock, store);
      lives.push(life);
      return life;
    },
  });
  const stream = await world.stream('/agents/puppet/runs', {
    message: 'hi',
    background: true,
    session_id: 's1',
    ...body,
  });
  const runId = nth(stream.events, 0).run_id;
  const path = (below = ''): string => `/agents/puppet/runs/${runId}${below}`;
  const last = (): PuppetRun => nth(puppet.runs, -1);

  return {
    world,
    puppet,
    runId,
    stream,
    path,
    get run() {
      return last();
    },
    async say(...texts) {
      for (const text of texts) last().say({ type: 'text.delta', text });
      await world.clock.settle();
    },
    async pause(...calls) {
      for (const callId of calls)
        last().say({ type: 'approval.requested', callId, name: 'do', args: { what: callId, times: 1 } });
      last().finish();
      await world.clock.settle();
    },
    async finish() {
      last().finish();
      await world.clock.settle();
    },
    resume: (given = {}, at = world) => at.stream(path('/resume'), given),
    events: (query = '', lastEventId, at = world) =>
      at
        .ask('GET', path(`/events${query}`), {
          headers: lastEventId === undefined ? {} : { 'last-event-id': lastEventId },
        })
        .stream(),
    poll: (query, at = world) => at.get(path(`/events?${query}`)),
    approve: (...calls) =>
      world.post(path('/continue'), {
        tools: calls.map((tool_call_id) => ({ tool_call_id, confirmed: true })),
        stream: false,
        background: true,
      }),
    elsewhere: () => openGateway({ beside: world, agents: [createPuppet('puppet', more).component] }),
    die: () => only(lives).end(),
  };
}

export function indexesOf({ events }: Pick<TestStream, 'events'>): number[] {
  return events.map(({ event_index }) => event_index);
}
