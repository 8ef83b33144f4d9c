import type { AgentOutput } from '@continuo/protocol';
import { createFakeClock, createSeededRandom, type FakeClock, type SeededRandom } from '@continuo/testing';
import { describe, expect, it } from 'vitest';
import { interceptStore } from '../../test/intercept.ts';
import { nth, only, range } from '../../test/pick.ts';
import type { Store } from '../ports.ts';
import { createMemoryStore } from '../stores/memory.ts';
import { ALL_SCOPES, type Principal } from './access.ts';
import {
  type Answer,
  type ApprovalRecord,
  type Approvals,
  createApprovals,
  statusOfApproval,
} from './approvals.ts';
import { createJournal } from './log.ts';
import { endIdOf } from './run.ts';
import type { Task, Workers } from './worker.ts';

/** Workers that only store what is announced. */
const STORING: Workers = {
  announce: (_log, _component, add) => add(),
  async cancel() {},
  active: 0,
  isActive: () => false,
  async close() {},
};

const ME: Principal = {
  subject: 'me',
  user: 'me',
  scopes: new Set(ALL_SCOPES),
  patterns: { agents: ['*'], channels: ['*'] },
};

interface World {
  readonly clock: FakeClock;
  readonly store: Store;
  /** Another server on the same store; with `late`, one whose store answers after 0 to that many ms. */
  server(late?: number): Approvals;
}

function createWorld(random: SeededRandom = createSeededRandom(7)): World {
  const clock = createFakeClock();
  const store = createMemoryStore({ clock, random: createSeededRandom(1) });
  return {
    clock,
    store,
    server(late = 0) {
      const wait = (): Promise<void> =>
        new Promise((resolve) => clock.schedule(clock.now() + random.int(0, late), resolve));
      const seen = interceptStore(store, async (_call, go) => {
        if (late > 0) await wait();
        const answer = await go();
        if (late > 0) await wait();
        return answer;
      });
      const journal = createJournal({
        ...seen,
        clock,
        report: (problem, error) => {
          throw new Error(problem, { cause: error });
        },
        retentionOf: () => ({ maxEntries: 1_000_000, maxBytes: 1 << 30 }),
      });
      const approvals = createApprovals({
        ...seen,
        journal,
        workers: () => STORING,
        clock,
        random: random.fork(),
      });
      return {
        ...approvals,
        async request(task, asked) {
          await store.logs.append(task.log, []); // the run's own, of which there is one by then
          return approvals.request(task, asked);
        },
      };
    },
  };
}

function taskOf(runId: string, more: Partial<Task> = {}): Task {
  return {
    log: `run:me:${runId}`,
    ownLog: true,
    component: 'agent:clerk',
    runId,
    messageId: `msg_${runId}`,
    sessionId: 's1',
    user: 'me',
    input: 'go',
    state: null,
    history: async () => [],
    ...more,
  };
}

function asking(
  callId: string,
  more: { readonly expiresInMs?: number; readonly args?: unknown } = {},
): AgentOutput & { readonly type: 'approval.requested' } {
  return { type: 'approval.requested', callId, name: 'do', args: { what: callId }, ...more };
}

async function recordOf({ store }: World, approvalId: string): Promise<ApprovalRecord> {
  const stored = await store.records.get(`approval/me/${approvalId}`);
  if (!stored) throw new Error(`there is no approval ${approvalId}`);
  return stored.value as ApprovalRecord;
}

describe('two answers in the same millisecond', () => {
  it.each([
    ['that differ', false],
    ['that say the same', true],
  ])('R-18 %s: one wins, a thousand times', async (_what, same) => {
    const random = createSeededRandom(5);
    const world = createWorld(random);
    const servers = [world.server(3), world.server(3)];
    const wins = [0, 0];
    for (const trial of range(1, 1_000)) {
      const request = world.server().request(taskOf(`r${trial}`), asking('jump'));
      const { approvalId } = await request;
      const answers: Answer[] = servers.map((_, index) => ({
        approved: same || index === 0,
        by: `person ${index}`,
      }));
      const outcomes = Promise.allSettled(
        servers.map((server, index) => server.resolve(ME, approvalId, nth(answers, index))),
      );
      await world.clock.advance(100);
      const settled = await outcomes;
      const winners = settled.flatMap((outcome, index) =>
        outcome.status === 'fulfilled' && outcome.value.isNew ? [index] : [],
      );
      const winner = only(winners);
      wins[winner] = (wins[winner] ?? 0) + 1;
      const first = nth(answers, winner);
      expect((await recordOf(world, approvalId)).answer, `trial ${trial}`).toEqual(first);
      expect(nth(settled, 1 - winner), `trial ${trial}`).toMatchObject(
        same
          ? { status: 'fulfilled', value: { isNew: false, answer: first } }
          : {
              status: 'rejected',
              reason: { code: 'conflict', details: { approval_id: approvalId, ...first } },
            },
      );
    }
    expect(Math.min(...wins), 'each of them wins sometimes').toBeGreaterThan(200);
  });

  it('R-18 of ten people: one wins, the others are told who', async () => {
    const world = createWorld();
    const { approvalId } = await world.server().request(taskOf('r1'), asking('jump'));
    const outcomes = Promise.allSettled(
      range(1, 10).map((person) =>
        world.server(5).resolve(ME, approvalId, { approved: person % 2 === 0, by: `person ${person}` }),
      ),
    );
    await world.clock.advance(1_000);
    const { answer } = await recordOf(world, approvalId);
    const settled = await outcomes;
    const isNew = settled.filter((outcome) => outcome.status === 'fulfilled' && outcome.value.isNew);
    expect(isNew).toHaveLength(1);
    for (const outcome of settled) {
      if (outcome.status === 'fulfilled') expect(outcome.value.answer).toEqual(answer);
      else expect(outcome.reason).toMatchObject({ code: 'conflict', details: { ...answer } });
    }
  });
});

describe('a question', () => {
  it('R-16 that is asked again under the same call, when its run starts over, is the same', async () => {
    const world = createWorld();
    const first = await world.server().request(taskOf('r1'), asking('jump'));
    expect(await world.server().request(taskOf('r1'), asking('jump'))).toEqual(first);
    expect((await world.server().request(taskOf('r1'), asking('run'))).approvalId).not.toBe(first.approvalId);
    expect((await world.server().request(taskOf('r2'), asking('jump'))).approvalId).not.toBe(
      first.approvalId,
    );
    expect(await world.server().list(ME, 'all')).toHaveLength(3);
  });

  it('R-16 is for its arguments: with others it is another', async () => {
    const world = createWorld();
    const first = await world.server().request(taskOf('r1'), asking('jump', { args: { to: 'Porto' } }));
    const again = await world.server().request(taskOf('r1'), asking('jump', { args: { to: 'Rome' } }));
    expect(again.approvalId).not.toBe(first.approvalId);
    expect((await recordOf(world, first.approvalId)).args).toEqual({ to: 'Porto' });
    expect((await recordOf(world, again.approvalId)).args).toEqual({ to: 'Rome' });
  });

  it('R-16 can be answered though its server died between its two records', async () => {
    const world = createWorld();
    const first = await world.server().request(taskOf('r1'), asking('jump'));
    await world.store.records.remove(`approval/me/${first.approvalId}`);
    expect(await world.server().request(taskOf('r1'), asking('jump'))).toEqual(first);
    expect((await recordOf(world, first.approvalId)).answer).toBeNull();
  });

  it('R-18 outlives neither a run nor a session that nobody looks at', async () => {
    const DAY_MS = 86_400_000;
    const world = createWorld();
    const long = { expiresInMs: 30 * DAY_MS };
    const asked = async (id: string, ownLog: boolean): Promise<number> => {
      const question = await world.server().request({ ...taskOf(id), ownLog }, asking('jump', long));
      return question.expiresAt - world.clock.now();
    };
    expect(await asked('r1', true)).toBe(6 * DAY_MS);
    expect(await asked('r2', false)).toBe((23 * DAY_MS) / 24);
  });

  it('R-18 is listed as expired from the moment on in which it is, whoever has looked', async () => {
    const world = createWorld();
    const server = world.server();
    await server.request(taskOf('r1'), asking('jump', { expiresInMs: 1_000 }));
    await world.clock.advance(999);
    expect(await server.list(ME, 'pending')).toHaveLength(1);
    await world.clock.advance(1);
    expect(await server.list(ME, 'pending')).toEqual([]);
    expect(only(await server.list(ME, 'expired')).answer).toMatchObject({ expired: true });
  });

  it('R-18 can be answered until its time is over, and not in that moment', async () => {
    const world = createWorld();
    const server = world.server();
    const questions = await Promise.all(
      ['r1', 'r2'].map((run) => server.request(taskOf(run), asking('jump', { expiresInMs: 1_000 }))),
    );
    await world.clock.advance(999);
    const answer = { approved: true, by: 'me' };
    expect(await server.resolve(ME, nth(questions, 0).approvalId, answer)).toEqual({ answer, isNew: true });
    await world.clock.advance(1);
    const { approvalId } = nth(questions, 1);
    const expiry = { approved: false, by: 'expiry', expired: true };
    for (const approved of [true, false]) {
      await expect(server.resolve(ME, approvalId, { approved, by: 'me' })).rejects.toMatchObject({
        code: 'conflict',
        details: { approval_id: approvalId, ...expiry },
      });
    }
    expect((await recordOf(world, approvalId)).answer).toEqual(expiry);
  });

  it('R-18 whose answer comes with the end of its time has one of both, whoever looks', async () => {
    const world = createWorld();
    const answers = new Set<string>();
    for (const trial of range(1, 300)) {
      const asked = await world.server().request(taskOf(`r${trial}`), asking('jump', { expiresInMs: 20 }));
      await world.clock.advance(5);
      const outcome = world
        .server(4)
        .resolve(ME, asked.approvalId, { approved: true, by: 'me' })
        .then(
          () => 'counts',
          (error: { code: string }) => error.code,
        );
      await world.clock.advance(15);
      const late = world
        .server(2)
        .resolve(ME, asked.approvalId, { approved: false, by: 'you' })
        .then(
          () => 'counts',
          (error: { code: string }) => error.code,
        );
      await world.clock.advance(100);
      expect(await late).toBe('conflict');
      const { answer } = await recordOf(world, asked.approvalId);
      expect(answer?.by, `trial ${trial}`).toBe((await outcome) === 'counts' ? 'me' : 'expiry');
      answers.add(answer?.by ?? '');
    }
    expect(answers).toEqual(new Set(['me', 'expiry']));
  });

  it.each(['apr_none', '\ud800', '', '../me', '%00'])('L-10 that never was is not found: %j', async (id) => {
    const server = createWorld().server();
    await expect(server.get(ME, id)).rejects.toMatchObject({ code: 'not_found' });
    await expect(server.resolve(ME, id, { approved: true, by: 'me' })).rejects.toMatchObject({
      code: 'not_found',
    });
  });
});

describe('the list of questions', () => {
  it("R-18 has the asker's, newest first, at most 100", async () => {
    const world = createWorld();
    const server = world.server();
    for (const number of range(1, 450)) {
      await server.request(taskOf(`r${number}`, { user: number % 5 === 0 ? 'you' : 'me' }), asking('jump'));
      await world.clock.advance(1);
    }
    const mine = range(1, 450).filter((number) => number % 5 !== 0);
    const runs = (await server.list(ME, 'pending')).map(({ runId }) => runId);
    expect(runs).toEqual(
      mine
        .slice(-100)
        .reverse()
        .map((number) => `r${number}`),
    );
    expect(await server.list({ ...ME, user: 'you' }, 'pending')).toHaveLength(90);
    expect(await server.list({ ...ME, user: 'm' }, 'pending')).toEqual([]);
  });

  it('R-18 has them by how they stand', async () => {
    const world = createWorld();
    const server = world.server();
    const ids: string[] = [];
    for (const call of ['open', 'yes', 'no', 'late'])
      ids.push(
        (await server.request(taskOf('r1'), asking(call, { expiresInMs: call === 'late' ? 10 : 10_000 })))
          .approvalId,
      );
    await server.resolve(ME, nth(ids, 1), { approved: true, by: 'me' });
    await server.resolve(ME, nth(ids, 2), { approved: false, by: 'me' });
    await world.clock.advance(10);
    await expect(server.resolve(ME, nth(ids, 3), { approved: true, by: 'me' })).rejects.toThrow('in time');
    const statuses = ['pending', 'approved', 'denied', 'expired'] as const;
    for (const [index, status] of statuses.entries()) {
      const record = only(await server.list(ME, status));
      expect([record.approvalId, statusOfApproval(record)]).toEqual([nth(ids, index), status]);
    }
    expect(await server.list(ME, 'all')).toHaveLength(4);
  });

  it('R-18 has no question of a run that ended before it was answered', async () => {
    const world = createWorld();
    const server = world.server();
    await server.request(taskOf('r1'), asking('jump'));
    const { approvalId } = await server.request(taskOf('r1'), asking('run'));
    await server.resolve(ME, approvalId, { approved: true, by: 'me' });
    await world.store.logs.append('run:me:r1', [{ id: endIdOf('r1'), type: 'run.ended', data: {} }]);
    expect(await server.list(ME, 'pending')).toEqual([]);
    expect(only(await server.list(ME, 'all')).approvalId).toBe(approvalId);
  });

  it('R-18 has no question of a run that is gone, nor can that be answered', async () => {
    const world = createWorld();
    const server = world.server();
    const { approvalId } = await server.request(taskOf('r1'), asking('jump'));
    await world.store.logs.keep('run:me:r1', world.clock.now());
    expect(await server.list(ME, 'all')).toEqual([]);
    await expect(server.resolve(ME, approvalId, { approved: true, by: 'me' })).rejects.toMatchObject({
      code: 'not_found',
    });
    expect((await recordOf(world, approvalId)).answer).toBeNull();
  });

  it('L-15 has nothing of agents that the asker may not use', async () => {
    const world = createWorld();
    const server = world.server();
    const { approvalId } = await server.request(taskOf('r1'), asking('jump'));
    await server.request(taskOf('r2', { component: 'team:pair' }), asking('jump'));
    const narrow: Principal = { ...ME, patterns: { agents: ['pair'], channels: [] } };
    expect((await server.list(narrow, 'all')).map(({ runId }) => runId)).toEqual(['r2']);
    await expect(server.get(narrow, approvalId)).rejects.toMatchObject({ code: 'not_found' });
  });
});
