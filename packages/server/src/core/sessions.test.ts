import { type ComponentRef, draftOf, type Lineage, type RunEvent } from '@continuo/protocol';
import { createFakeClock, createSeededRandom, type FakeClock } from '@continuo/testing';
import { describe, expect, it } from 'vitest';
import { type Around, interceptStore } from '../../test/intercept.ts';
import { nth, only, range } from '../../test/pick.ts';
import type { Store } from '../ports.ts';
import { createMemoryStore } from '../stores/memory.ts';
import { createJournal, type Journal, type RetentionLimits } from './log.ts';
import { keyOf } from './names.ts';
import { createSessions, type OpenSession, type Session, type Sessions } from './sessions.ts';
import type { Workers } from './worker.ts';

const DAY_MS = 24 * 3_600_000;
const ECHO: ComponentRef = { kind: 'agent', id: 'echo', name: 'Echo' };

interface Server {
  readonly sessions: Sessions;
  readonly journal: Journal;
  open(
    sessionId?: string,
    more?: { owner?: string; component?: string; create?: boolean },
  ): Promise<OpenSession>;
  /** The next message's turn, as a driver would have it. */
  turn(session: Session): Promise<Turn>;
  /** A whole turn. */
  answer(session: Session, ...words: readonly string[]): Promise<void>;
}

interface Turn {
  say(...words: readonly string[]): Promise<void>;
  end(): Promise<void>;
}

interface World extends Server {
  readonly clock: FakeClock;
  readonly store: Store;
  /** Another server on the same store. */
  another(around?: Around): Server;
}

/** Workers that find no time for what is announced. */
const BUSY: Workers = {
  announce: (_log, _component, add) => add(),
  async cancel() {},
  active: 0,
  isActive: () => false,
  async close() {},
};

function createWorld(limits: RetentionLimits = {}): World {
  const clock = createFakeClock();
  const store = createMemoryStore({ clock, random: createSeededRandom(1) });
  let seed = 1;

  function another(around: Around = (_call, go) => go()): Server {
    const seen = interceptStore(store, around);
    const journal: Journal = createJournal({
      ...seen,
      clock,
      report(problem, error) {
        throw new Error(problem, { cause: error });
      },
      retentionOf: () => sessions.retention,
    });
    const random = createSeededRandom(++seed);
    async function turn({ log }: Session): Promise<Turn> {
      const task = (await sessions.turns.due(log)).next;
      if (!task) throw new Error('nobody asked');
      const { runId, messageId } = task;
      const lineage: Lineage = { runId, messageId, attempt: 1, component: ECHO };
      let content = '';
      let count = 0;
      async function write(event: RunEvent): Promise<void> {
        const draft = { id: `${runId}:${count++}`, ...draftOf(event) };
        await journal.append(log, [draft], { fence: { run: runId, token: 1 } });
      }
      await write({ type: 'run.started', ...lineage });
      return {
        async say(...words) {
          for (const text of words) await write({ type: 'text.delta', text, ...lineage });
          content += words.join('');
        },
        end: () => write({ type: 'run.ended', status: 'completed', content, ...lineage }),
      };
    }

    const sessions = createSessions({
      ...seen,
      journal,
      workers: () => BUSY,
      clock,
      random,
      limits,
      inbox: 32,
    });
    return {
      sessions,
      journal,
      open: (sessionId, { owner = 'me', component = 'agent:echo', create = false } = {}) =>
        sessions.open({ owner, component, sessionId, create }),
      turn,
      async answer(session, ...words) {
        const { say, end } = await turn(session);
        await say(...words);
        await end();
      },
    };
  }

  return { clock, store, another, ...another() };
}

async function conversation(server: Server, { log }: Session): Promise<string[]> {
  const { state } = await server.sessions.state(log);
  return state.messages.map(({ role, content }) => `${role}: ${String(content).slice(0, 20)}`);
}

describe('a session that nobody asks for', () => {
  it('leaves the memory after a minute, and is read again when somebody does', async () => {
    const world = createWorld();
    const { session } = await world.open();
    await world.sessions.submit(session, { content: 'hi', source: 'cli' });
    const before = (await world.sessions.state(session.log)).state;
    await world.clock.advance(50_000);
    expect((await world.sessions.state(session.log)).state).toBe(before);
    await world.clock.advance(80_000);
    const after = (await world.sessions.state(session.log)).state;
    expect(after).not.toBe(before);
    expect(after).toEqual(before);
  });
});

describe('opening a session', () => {
  it('makes a new one with an id of its own', async () => {
    const { open, store } = createWorld();
    const first = await open();
    const second = await open();
    expect([first.resumed, second.resumed]).toEqual([false, false]);
    expect(first.session.sessionId).not.toBe(second.session.sessionId);
    expect(first.head.offset).toBe(0);
    expect(await store.records.get(keyOf.session('me', first.session.sessionId))).not.toBeNull();
  });

  it("G-10 resumes the owner's session with that agent, on whatever server", async () => {
    const { open, another, sessions } = createWorld();
    const { session } = await open();
    await sessions.submit(session, { content: 'hi', source: 'cli' });
    const again = await another().open(session.sessionId);
    expect(again).toMatchObject({ resumed: true, session, head: { offset: 1 } });
  });

  it.each([
    ['that nobody has', 'ses_unknown', {}],
    ['of another owner', null, { owner: 'you' }],
    ['of another agent', null, { component: 'agent:other' }],
  ])('G-10 makes a new one for an id %s', async (_what, unknown, more) => {
    const { open } = createWorld();
    const { session } = await open();
    const asked = unknown ?? session.sessionId;
    const opened = await open(asked, more);
    expect(opened.resumed).toBe(false);
    expect([asked, session.sessionId]).not.toContain(opened.session.sessionId);
  });

  it('R-5 makes one of the given name where the name may be given', async () => {
    const { open } = createWorld();
    expect(await open('mine', { create: true })).toMatchObject({
      resumed: false,
      session: { sessionId: 'mine' },
    });
    expect(await open('mine', { create: true })).toMatchObject({ resumed: true });
    await expect(open('mine', { create: true, component: 'agent:other' })).rejects.toMatchObject({
      code: 'not_found',
    });
  });

  it('G-10 does not find a session a day after its last viewer left', async () => {
    const { clock, open, sessions } = createWorld();
    const { session } = await open();
    const leave = sessions.view(session);
    await clock.advance(3 * DAY_MS);
    leave();
    await clock.settle();
    await clock.advance(DAY_MS - 1);
    expect((await open(session.sessionId)).resumed).toBe(true);
    await clock.advance(DAY_MS + 1);
    expect((await open(session.sessionId)).resumed).toBe(false);
  });

  it('keeps a session while one of its viewers is there', async () => {
    const { clock, open, sessions } = createWorld();
    const { session } = await open();
    const leave = sessions.view(session);
    sessions.view(session);
    leave();
    await clock.advance(2 * DAY_MS);
    expect(sessions.viewed).toBe(1);
    expect((await open(session.sessionId)).resumed).toBe(true);
  });
});

describe('the sessions of an owner', () => {
  const all = (): boolean => true;

  it('R-23 are found by their id, and by nobody else', async () => {
    const { open, sessions, another } = createWorld();
    const { session } = await open('a/b', { create: true });
    expect(await another().sessions.find('me', 'a/b')).toMatchObject({
      sessionId: 'a/b',
      createdAt: session.createdAt,
    });
    for (const [owner, id] of [
      ['you', 'a/b'],
      ['me', 'a'],
      ['me', ''],
      ['me', '\ud800'],
      ['me/a', 'b'],
    ] as const)
      expect(await sessions.find(owner, id)).toBeNull();
  });

  it('R-23 are listed newest first, at most 100 of those that are wanted', async () => {
    const { clock, open, sessions } = createWorld();
    for (const number of range(1, 620)) {
      const component = number <= 110 ? 'agent:echo' : 'team:pair';
      await open(`s${number}`, { create: true, component });
      await clock.advance(1);
    }
    await open('theirs', { owner: 'you', create: true });
    const ids = async (owner: string, isWanted: (component: string) => boolean): Promise<string[]> =>
      (await sessions.list(owner, isWanted)).map(({ sessionId }) => sessionId);
    const down = (from: number, to: number): string[] =>
      range(to, from)
        .reverse()
        .map((number) => `s${number}`);
    expect(await ids('me', all)).toEqual(down(620, 521));
    expect(await ids('me', (component) => component === 'agent:echo')).toEqual(down(110, 11));
    expect(await ids('you', all)).toEqual(['theirs']);
    expect(await ids('m', all)).toEqual([]);
  });
});

describe('submitting a message', () => {
  it('G-8 stores it once, however often it is sent, on whatever server', async () => {
    const { open, sessions, another } = createWorld();
    const { session } = await open();
    const message = { content: 'hi', messageId: 'm1', source: 'cli' };
    await Promise.all([sessions, another().sessions, sessions].map((each) => each.submit(session, message)));
    expect(await sessions.submit(session, message)).toEqual({ messageId: 'm1' });
    const { state } = await sessions.state(session.log);
    expect(only(state.queue).messageId).toBe('m1');
  });

  it('G-8 knows a message again when its entry was trimmed away', async () => {
    const world = createWorld({ maxEntries: 10 });
    const { session } = await world.open();
    await world.sessions.submit(session, { content: 'hi', messageId: 'm1', source: 'cli' });
    await world.answer(session, ...range(1, 50).map(String));
    await world.sessions.submit(session, { content: 'and?', messageId: 'm2', source: 'cli' });
    await world.answer(session, 'no more');
    expect((await world.store.logs.heads([session.log]))[0]?.oldest).toBeGreaterThan(1);
    await world.sessions.submit(session, { content: 'hi', messageId: 'm1', source: 'cli' });
    expect((await world.sessions.state(session.log)).state.queue).toEqual([]);
  });

  it('G-16 refuses what would wait behind 32 others, and stores nothing of it', async () => {
    const { open, sessions } = createWorld();
    const { session } = await open();
    const send = (number: number): Promise<unknown> =>
      sessions.submit(session, { content: 'hi', messageId: `m${number}`, source: 'cli' });
    for (const number of range(1, 33)) await send(number); // the first is under way, or about to be
    await expect(send(34)).rejects.toMatchObject({ code: 'inbox_full' });
    expect((await sessions.state(session.log)).offset).toBe(33);
    await expect(send(7)).resolves.toEqual({ messageId: 'm7' }); // it waits already
  });

  it('G-16 refuses it also when all of them come at once', async () => {
    const { open, sessions } = createWorld();
    const { session } = await open();
    const sent = range(1, 50).map((number) =>
      sessions.submit(session, { content: 'hi', messageId: `m${number}`, source: 'cli' }),
    );
    const outcomes = await Promise.allSettled(sent);
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(33);
    expect((await sessions.state(session.log)).offset).toBe(33);
  });
});

describe('the turn that is due', () => {
  it('G-9 is the oldest message without an end', async () => {
    const { open, sessions, answer } = createWorld();
    const { session } = await open();
    expect((await sessions.turns.due(session.log)).next).toBeNull();
    for (const id of ['m1', 'm2']) {
      await sessions.submit(session, { content: { ask: id }, messageId: id, source: 'cli' });
    }
    expect((await sessions.turns.due(session.log)).next).toMatchObject({
      component: 'agent:echo',
      messageId: 'm1',
      input: { ask: 'm1' },
      sessionId: session.sessionId,
      user: 'me',
      state: null,
      ownLog: false,
    });
    await answer(session, 'yes');
    expect((await sessions.turns.due(session.log)).next).toMatchObject({ messageId: 'm2' });
    await answer(session, 'no');
    expect((await sessions.turns.due(session.log)).next).toBeNull();
  });

  it('is told the conversation before its message', async () => {
    const { open, sessions, answer } = createWorld();
    const { session } = await open();
    await sessions.submit(session, { content: 'one', messageId: 'm1', source: 'cli' });
    await answer(session, 'first');
    await sessions.submit(session, { content: 'two', messageId: 'm2', source: 'cli' });
    const task = (await sessions.turns.due(session.log)).next;
    await sessions.submit(session, { content: 'three', messageId: 'm3', source: 'cli' });
    expect((await task?.history())?.map(({ content }) => content)).toEqual(['one', 'first']);
  });

  it('G-9 is told what was answered while its message waited', async () => {
    const { open, sessions, answer } = createWorld();
    const { session } = await open();
    for (const [id, content] of [
      ['m1', 'my name is Ann'],
      ['m2', 'what is my name?'],
    ] as const) {
      await sessions.submit(session, { content, messageId: id, source: 'cli' });
    }
    await answer(session, 'hello Ann');
    const task = (await sessions.turns.due(session.log)).next;
    expect((await task?.history())?.map(({ content }) => content)).toEqual(['my name is Ann', 'hello Ann']);
  });
});

describe('a session whose log was trimmed', () => {
  async function talkAtLength(world: World): Promise<Session> {
    const { session } = await world.open();
    for (const number of range(1, 10)) {
      await world.sessions.submit(session, { content: `question ${number}`, source: 'cli' });
      await world.answer(session, ...range(1, 12).map((word) => `${word} `));
    }
    return session;
  }

  it('still has its whole conversation, on every server', async () => {
    const world = createWorld({ maxEntries: 30 });
    const session = await talkAtLength(world);
    const [head] = await world.store.logs.heads([session.log]);
    expect(head?.oldest).toBeGreaterThan(90);
    const whole = await conversation(world, session);
    expect(whole).toHaveLength(20);
    expect(nth(whole, 0)).toBe('user: question 1');
    expect(await conversation(world.another(), session)).toEqual(whole);
  });

  it('G-9 still has every message that waits: those are never trimmed', async () => {
    const world = createWorld({ maxEntries: 20 });
    const { session } = await world.open();
    for (const number of range(1, 5)) {
      await world.sessions.submit(session, { content: `question ${number}`, source: 'cli' });
    }
    for (const number of range(1, 5)) {
      const server = number % 2 ? world : world.another();
      expect((await server.sessions.turns.due(session.log)).next).toMatchObject({
        input: `question ${number}`,
      });
      await server.answer(session, ...range(1, 60).map((word) => `${number}.${word} `));
    }
    expect(await conversation(world.another(), session)).toHaveLength(10);
    expect((await world.store.logs.heads([session.log]))[0]?.oldest).toBe(5); // the last that waited
  });

  it('L-2 has nothing of a log that was lost before it', async () => {
    const world = createWorld({ maxBytes: 2_000_000 });
    const { session } = await world.open();
    for (const number of range(1, 6)) {
      const content = `old ${number} ${'x'.repeat(600_000)}`;
      await world.sessions.submit(session, { content, source: 'cli' });
      await world.answer(session, 'yes');
    }
    expect(await world.store.records.get(keyOf.checkpoint(session.log))).not.toBeNull();

    await world.store.logs.keep(session.log, world.clock.now()); // it is gone
    const server = world.another();
    await server.open(session.sessionId);
    for (const number of range(1, 30)) {
      await server.sessions.submit(session, { content: `new ${number}`, source: 'cli' });
    }
    const fresh = world.another();
    expect(await conversation(fresh, session)).toEqual(range(1, 30).map((number) => `user: new ${number}`));
    expect((await fresh.sessions.turns.due(session.log)).next).toMatchObject({ input: 'new 1' });
  });

  it('has its whole conversation also for a server that looks while another keeps it', async () => {
    const world = createWorld({ maxEntries: 30 });
    const session = await talkAtLength(world);
    await world.sessions.submit(session, { content: 'question 11', source: 'cli' });
    const turn = await world.turn(session);
    const words = range(1, 60).map((word) => `${word} `);
    await turn.say(...words);
    let looked = false;
    const looking = world.another(async (call, go) => {
      if (call.name === 'get' && call.key.startsWith('checkpoint/') && !looked) {
        looked = true; // between its look at the log and its look at the checkpoint
        await turn.say(...words);
      }
      return go();
    });
    expect(await conversation(looking, session)).toEqual(await conversation(world, session));
  });
});
