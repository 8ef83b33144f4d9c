import { inspect } from 'node:util';
import type { ClientEvent } from '@continuo/client';
import type { Component } from '@continuo/protocol';
import { createGateway, createMemoryStore, systemClock, systemRandom } from '@continuo/server';
import { z } from 'zod';
import { openRawSocket } from './raw-socket.ts';
import { watch } from './viewer.ts';
import { until } from './waiting.ts';

/** The turn's end as door 1 shows it. */
export interface Turn {
  readonly content: string;
  readonly status: string;
  readonly reason: string;
}

/** A gateway with one agent, and a person at it. */
export interface ModelGateway {
  readonly events: readonly ClientEvent[];
  /** What the server's log was given, as it would be printed. */
  readonly reports: readonly string[];
  /** Sends a message and waits for its final answer. */
  ask(content: string): Promise<Turn>;
  /** Sends a message. */
  send(content: string): Promise<string>;
  /** Waits for the final answer number `count`, from 1. */
  final(count: number): Promise<Turn>;
  /** Lets the agent do what it asked for last. */
  approve(): Promise<void>;
  /** Stops the turn under way; returns `performance.now()` when that was asked. */
  abort(): Promise<number>;
  /** The content of all events of a type. */
  contents(type: ClientEvent['type']): readonly unknown[];
  close(): Promise<void>;
}

const Final = z.object({
  content: z.string(),
  outcome: z.object({ status: z.string(), reason: z.string().optional() }),
});

/** How long a turn may take on a slow machine, in ms. */
const TURN_MS = 30_000;

export async function openModelGateway(agent: Component): Promise<ModelGateway> {
  const store = createMemoryStore({ clock: systemClock, random: systemRandom });
  const reports: string[] = [];
  const gateway = createGateway({
    agents: [agent],
    store,
    drainMs: 0,
    report: (problem, error) => void reports.push(`${problem}: ${inspect(error, { depth: 20 })}`),
  });
  const { url, port } = await gateway.listen({ port: 0 });
  const { client, events } = watch({ url, agentId: agent.id });
  await client.connect();
  let sent = 0;

  const finals = (): readonly Turn[] =>
    events.flatMap((event) => {
      if (event.type !== 'response') return [];
      const { content, outcome } = Final.parse(event.data);
      return [{ content, status: outcome.status, reason: outcome.reason ?? '' }];
    });

  async function final(count: number): Promise<Turn> {
    await until(`final answer ${count}`, TURN_MS, () => finals().length >= count);
    const turn = finals()[count - 1];
    if (!turn) throw new Error(`there is no final answer ${count}`);
    return turn;
  }

  function send(content: string): Promise<string> {
    sent++;
    return client.send(content);
  }

  return {
    events,
    reports,
    send,
    final,
    async ask(content) {
      await send(content);
      return final(sent);
    },
    async approve() {
      await until('a question', TURN_MS, () => client.pending.length > 0);
      const [asked] = client.pending;
      if (asked) await client.approve(asked.approval_id, true);
    },
    async abort() {
      const socket = await openRawSocket({ port, path: '/' });
      socket.send({ type: 'join', agent_id: agent.id, session_id: client.sessionId });
      await socket.frame((frame) => frame.type === 'joined');
      const askedAt = performance.now();
      socket.send({ type: 'abort' });
      await socket.frame((frame) => frame.type === 'aborted');
      socket.cut();
      return askedAt;
    },
    contents: (type) =>
      events.flatMap((event) =>
        event.type === type && event.data && 'content' in event.data ? [event.data.content] : [],
      ),
    async close() {
      client.disconnect();
      await gateway.close();
      await store.close();
    },
  };
}
