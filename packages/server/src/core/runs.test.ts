import type { Component, Lineage } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { echo, pair } from '../../test/agents.ts';
import { only } from '../../test/pick.ts';
import { createRunWorld, type RunWorld } from '../../test/runs.ts';
import { createRunWriter } from './run-writer.ts';
import type { Run } from './runs.ts';

const DAY_MS = 24 * 3_600_000;

interface World extends RunWorld {
  create(sessionId?: string, component?: Component): Promise<Run>;
  /** Drives a run to its end, with this text. */
  drive(run: Run, text: string): Promise<void>;
  conversation(run: Run): Promise<string[]>;
}

function createWorld(): World {
  const world = createRunWorld();
  const { clock, runs, sessions, journal } = world;
  return {
    ...world,
    create: async (sessionId, component = echo) =>
      (await runs.create({ owner: 'me', component, input: 'hello', sessionId })).run,
    async drive({ log, runId, messageId }, text) {
      const lineage: Lineage = {
        runId,
        messageId,
        attempt: 1,
        component: { kind: 'agent', id: 'echo', name: 'Echo' },
      };
      const fence = { run: runId, token: 1 };
      const writer = createRunWriter({
        journal,
        clock,
        log,
        ownLog: true,
        fence,
        serial: 0,
        lineage,
        joinMs: 0,
        isLost: () => false,
      });
      await writer.write({ type: 'run.started' });
      await writer.write({ type: 'text.delta', text });
      await writer.end({ status: 'completed' });
      await runs.tasks.settled(log, []);
    },
    async conversation(run) {
      const { state } = await sessions.state(`session:me:${run.sessionId}`);
      return state.messages.map(({ role, content }) => `${role}: ${String(content)}`);
    },
  };
}

describe('a run with a log of its own', () => {
  it('is announced to the workers, in a session of its own', async () => {
    const { create, announced, store } = createWorld();
    const run = await create();
    expect(announced).toEqual([`${run.log} agent:echo`]);
    expect(await store.logs.heads([run.log])).toMatchObject([{ offset: 0, ended: false }]);
    expect(run.sessionId).toMatch(/^ses_/);
    expect((await create()).sessionId).not.toBe(run.sessionId);
  });

  it('R-4 is found by its owner, under its component, and by nobody else', async () => {
    const { create, runs } = createWorld();
    const run = await create();
    expect(await runs.find('me', echo, run.runId)).toEqual(run);
    expect(await runs.find('you', echo, run.runId)).toBeNull();
    expect(await runs.find('me', pair, run.runId)).toBeNull();
    expect(await runs.find('me', echo, 'run_unknown')).toBeNull();
  });

  it('is due until it has ended', async () => {
    const { create, runs, drive } = createWorld();
    const run = await create();
    expect((await runs.tasks.due(run.log)).next).toMatchObject({
      ownLog: true,
      component: 'agent:echo',
      runId: run.runId,
      input: 'hello',
      state: null,
    });
    await drive(run, 'hi');
    expect((await runs.tasks.due(run.log)).next).toBeNull();
  });

  it('says all that its log says', async () => {
    const { create, runs, drive } = createWorld();
    const run = await create();
    expect(await runs.report(run)).toEqual({ state: null, entries: [] });
    await drive(run, 'hi');
    const { state, entries } = await runs.report(run);
    expect(state).toMatchObject({ status: 'completed', text: 'hi' });
    expect(entries.map(({ runIndex }) => runIndex)).toEqual([0, 1, 2, 3]);
  });

  it('R-10 leaves its message and its end in its session, once', async () => {
    const { create, runs, drive, conversation } = createWorld();
    const run = await create('mine');
    expect(await conversation(run)).toEqual(['user: hello']);
    await runs.tasks.settled(run.log, []); // it has not ended: nothing to tell
    await drive(run, 'hi');
    await runs.tasks.settled(run.log, []);
    expect(await conversation(run)).toEqual(['user: hello', 'assistant: hi']);
  });

  it('R-10 is told what its session held before it', async () => {
    const { create, runs, drive } = createWorld();
    await drive(await create('mine'), 'hi');
    const second = await create('mine');
    await create('mine');
    const task = (await runs.tasks.due(second.log)).next;
    expect((await task?.history())?.map(({ content }) => content)).toEqual(['hello', 'hi']);
  });

  it('takes no turn in its session', async () => {
    const { create, sessions } = createWorld();
    const run = await create('mine');
    expect((await sessions.turns.due(`session:me:${run.sessionId}`)).next).toBeNull();
  });

  it('is kept for a week after its end', async () => {
    const { clock, create, runs, drive, store } = createWorld();
    const run = await create();
    await drive(run, 'hi');
    await clock.advance(7 * DAY_MS - 1);
    expect(only(await store.logs.heads([run.log]))).not.toBeNull();
    expect(await runs.find('me', echo, run.runId)).not.toBeNull();
    await clock.advance(1);
    expect(await store.logs.heads([run.log])).toEqual([null]);
    expect(await runs.find('me', echo, run.runId)).toBeNull();
  });
});
