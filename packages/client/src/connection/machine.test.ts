import { createSeededRandom } from '@continuo/testing';
import { describe, expect, it } from 'vitest';
import { BACKOFF } from './backoff.ts';
import {
  type ConnectionEffect,
  type ConnectionInput,
  type ConnectionState,
  type ConnectionStep,
  type ConnectionTerms,
  dueAt,
  INITIAL,
  stepConnection,
} from './machine.ts';

const TERMS: ConnectionTerms = {
  backoff: BACKOFF,
  reconnect: true,
  maxAttempts: Number.POSITIVE_INFINITY,
};

/** One step at `now`, with even chance: the delays are the plain powers. */
function at(
  now: number,
  state: ConnectionState,
  input: ConnectionInput,
  terms: Partial<ConnectionTerms> = {},
): ConnectionStep {
  return stepConnection(Object.freeze(state), input, { now, random: 0.5, ...TERMS, ...terms });
}

const IDLE = INITIAL;
const DIALING: ConnectionState = {
  phase: 'dialing',
  generation: 4,
  attempt: 2,
  opened: false,
  until: 115_000,
};
const GREETING: ConnectionState = { ...DIALING, opened: true };
const OPEN: ConnectionState = {
  phase: 'open',
  generation: 4,
  attempt: 2,
  since: 100_000,
  heardAt: 100_000,
  pongBy: null,
};
const ASKED: ConnectionState = { ...OPEN, pongBy: 140_000 };
const WAITING: ConnectionState = { phase: 'waiting', generation: 4, attempt: 3, until: 104_000 };
const ENDED: ConnectionState = { phase: 'ended', generation: 5 };
const STATES = { IDLE, DIALING, GREETING, OPEN, ASKED, WAITING, ENDED };

/** Every input, of the current generation and of others, early and late. */
function inputsOf(generation: number): ConnectionInput[] {
  const closed = { type: 'closed', reason: 'gone' } as const;
  return [
    { type: 'connect' },
    { type: 'disconnect' },
    { type: 'nudge' },
    { type: 'nudge', isOnline: false },
    { type: 'timer' },
    ...[generation - 1, generation, generation + 1].flatMap((each): ConnectionInput[] => [
      { type: 'opened', generation: each },
      { type: 'greeted', generation: each },
      { type: 'heard', generation: each },
      { ...closed, generation: each },
      { ...closed, generation: each, final: true },
      { ...closed, generation: each, afterMs: 5_000 },
    ]),
  ];
}

const kinds = (effects: readonly ConnectionEffect[]): string[] => effects.map((effect) => effect.type);
const timerOf = ({ state }: ConnectionStep): number => dueAt(state);

/** What the states and effects of any one step must have to do with each other. */
function checkStep(before: ConnectionState, { state, effects }: ConnectionStep, now: number): void {
  const types = kinds(effects);
  for (const value of Object.values(state)) {
    if (typeof value === 'number') expect(Number.isFinite(value), JSON.stringify(state)).toBe(true);
  }
  expect(state.generation - before.generation === 0 || state.generation - before.generation === 1).toBe(true);
  const moved = state.phase !== before.phase || state.generation !== before.generation;
  expect(types.filter((type) => type === 'dial').length).toBe(moved && state.phase === 'dialing' ? 1 : 0);
  expect(types.filter((type) => type === 'ended').length).toBe(moved && state.phase === 'ended' ? 1 : 0);
  if (moved && (state.phase === 'waiting' || state.phase === 'ended')) expect(types[0]).toBe('hangUp');
  expect(dueAt(state) < Number.MAX_VALUE).toBe(state.phase !== 'idle' && state.phase !== 'ended');
  if (state === before && state.phase === 'ended') expect(effects).toEqual([]);
  if (state.phase === 'waiting' && moved) expect(state.until).toBeGreaterThanOrEqual(now);
}

describe('every phase', () => {
  it.each(Object.entries(STATES))(
    '%s is left in a legal state by every input, early and late',
    (_name, state) => {
      for (const input of inputsOf(state.generation)) {
        for (const now of [100_000, 104_000, 115_000, 130_000, 140_000, 1e12]) {
          const step = at(now, state, input);
          checkStep(state, step, now);
          expect(at(now, state, input), 'the same again').toEqual(step);
        }
      }
    },
  );

  it.each(Object.entries(STATES))('%s does not hear what another generation says', (_name, state) => {
    for (const input of inputsOf(state.generation)) {
      if (!('generation' in input) || input.generation === state.generation) continue;
      expect(at(200_000, state, input)).toEqual({ state, effects: [] });
    }
  });

  it.each(Object.entries(STATES))('%s is over after a disconnect, without a reason, once', (_name, state) => {
    const step = at(100_000, state, { type: 'disconnect' });
    expect(['idle', 'ended']).toContain(step.state.phase);
    const alive = state.phase !== 'idle' && state.phase !== 'ended';
    expect(step.effects).toEqual(alive ? [{ type: 'hangUp' }, { type: 'ended', reason: null }] : []);
    expect(at(100_000, step.state, { type: 'disconnect' }).effects).toEqual([]);
  });

  it.each(Object.entries(STATES))(
    '%s is connecting or connected after a connect, with one dial at most',
    (_name, state) => {
      const step = at(100_000, state, { type: 'connect' });
      expect(['dialing', 'open', 'waiting']).toContain(step.state.phase);
      const dead = state.phase === 'idle' || state.phase === 'ended';
      expect(kinds(step.effects)).toEqual(dead ? ['dial'] : []);
      expect(at(100_000, step.state, { type: 'connect' })).toEqual({ state: step.state, effects: [] });
    },
  );
});

describe('a connection that is made', () => {
  it('dials, greets when the socket is open, and is open when the greeting is taken', () => {
    let step = at(1_000, IDLE, { type: 'connect' });
    expect(step.state).toEqual({
      phase: 'dialing',
      generation: 1,
      attempt: 0,
      opened: false,
      until: 16_000,
    });
    expect(step.effects).toEqual([{ type: 'dial' }]);
    step = at(1_100, step.state, { type: 'opened', generation: 1 });
    expect(step.effects).toEqual([{ type: 'greet' }]);
    step = at(1_200, step.state, { type: 'greeted', generation: 1 });
    expect(step.state).toMatchObject({ phase: 'open', since: 1_200, heardAt: 1_200, pongBy: null });
    expect(step.effects).toEqual([]);
  });

  it('greets once, however often the socket says that it is open', () => {
    expect(at(100_000, GREETING, { type: 'opened', generation: 4 }).effects).toEqual([]);
    expect(at(100_000, OPEN, { type: 'opened', generation: 4 }).effects).toEqual([]);
  });

  it('gives up a socket that was not greeted at the until, and not before', () => {
    expect(at(114_999, GREETING, { type: 'timer' })).toEqual({
      state: GREETING,
      effects: [],
    });
    const late = at(115_000, GREETING, { type: 'timer' });
    expect(late.state).toMatchObject({ phase: 'waiting', attempt: 3 });
    expect(kinds(late.effects)).toEqual(['hangUp']);
  });
});

describe('a connection that is lost', () => {
  const closed = { type: 'closed', generation: 4, reason: 'gone' } as const;

  it.each([
    [0, 1_000],
    [1, 2_000],
    [4, 16_000],
    [5, 30_000],
    [10_000, 30_000],
  ])('G-11 waits, at attempt %d, %d ms', (attempt, delay) => {
    const { state, effects } = at(100_000, { ...DIALING, attempt }, closed);
    expect(state).toEqual({
      phase: 'waiting',
      generation: 4,
      attempt: attempt + 1,
      until: 100_000 + delay,
    });
    expect(effects).toEqual([{ type: 'hangUp' }]);
  });

  it('waits as long as the server said, also longer than the maximum, also not at all', () => {
    expect(timerOf(at(100_000, OPEN, { ...closed, afterMs: 120_000 }))).toBe(220_000);
    expect(timerOf(at(100_000, OPEN, { ...closed, afterMs: 0 }))).toBe(100_000);
  });

  it('is dialed again when the wait is over, and not before', () => {
    expect(at(103_999, WAITING, { type: 'timer' })).toEqual({
      state: WAITING,
      effects: [],
    });
    const step = at(104_000, WAITING, { type: 'timer' });
    expect(step.state).toEqual({
      phase: 'dialing',
      generation: 5,
      attempt: 3,
      opened: false,
      until: 119_000,
    });
    expect(step.effects[0]).toEqual({ type: 'dial' });
  });

  it('hears nothing more of its socket while it waits', () => {
    for (const input of inputsOf(WAITING.generation)) {
      if ('generation' in input) expect(at(101_000, WAITING, input)).toEqual({ state: WAITING, effects: [] });
    }
  });

  it('is over when the server said not to come back, with its reason', () => {
    for (const state of [DIALING, GREETING, OPEN, ASKED]) {
      expect(at(100_000, state, { ...closed, final: true })).toEqual({
        state: { phase: 'ended', generation: 5 },
        effects: [{ type: 'hangUp' }, { type: 'ended', reason: 'gone' }],
      });
    }
  });

  it('is over at once where reconnect is off', () => {
    for (const state of [DIALING, OPEN]) {
      expect(at(200_000, state, closed, { reconnect: false }).state.phase).toBe('ended');
    }
    expect(at(200_000, DIALING, { type: 'timer' }, { reconnect: false }).state.phase).toBe('ended');
  });

  it.each([0, 1, 3])('is over after %d attempts that failed in a row, besides the first', (maxAttempts) => {
    let dials = 0;
    let now = 0;
    let step = at(now, IDLE, { type: 'connect' }, { maxAttempts });
    while (step.state.phase !== 'ended') {
      if (dials > 10) throw new Error('it never gives up');
      if (kinds(step.effects).includes('dial')) dials++;
      const { generation } = step.state;
      now += 60_000;
      const input: ConnectionInput =
        step.state.phase === 'dialing'
          ? { type: 'closed', generation, reason: 'refused' }
          : { type: 'timer' };
      step = at(now, step.state, input, { maxAttempts });
    }
    expect(dials).toBe(1 + maxAttempts);
    expect(step.effects).toContainEqual({ type: 'ended', reason: 'refused' });
  });

  it('counts its attempts anew after a stable minute, and not after less', () => {
    const stable = at(160_000, OPEN, closed);
    expect(stable.state).toMatchObject({ attempt: 1, until: 161_000 });
    const short = at(159_999, OPEN, closed);
    expect(short.state).toMatchObject({ attempt: 3, until: 163_999 });
    expect(at(160_000, OPEN, closed, { maxAttempts: 2 }).state.phase).toBe('waiting');
    expect(at(159_999, OPEN, closed, { maxAttempts: 2 }).state.phase).toBe('ended');
  });
});

describe('a connection that is silent', () => {
  it('is asked for a sign of life after the idle time, and not before', () => {
    expect(at(129_999, OPEN, { type: 'timer' })).toEqual({
      state: OPEN,
      effects: [],
    });
    expect(at(130_000, OPEN, { type: 'timer' })).toEqual({
      state: { ...OPEN, pongBy: 140_000 },
      effects: [{ type: 'ping' }],
    });
  });

  it('is kept when it gives one, and asked again an idle time after that', () => {
    const heard = at(139_000, ASKED, { type: 'heard', generation: 4 });
    expect(heard.state).toEqual({ ...OPEN, heardAt: 139_000 });
    expect(at(140_000, heard.state, { type: 'timer' })).toEqual({
      state: heard.state,
      effects: [],
    });
  });

  it('is given up when it gives none, and not before its time', () => {
    expect(at(139_999, ASKED, { type: 'timer' }).effects).toEqual([]);
    const given = at(140_000, ASKED, { type: 'timer' });
    expect(given.state.phase).toBe('waiting');
    expect(kinds(given.effects)).toEqual(['hangUp']);
  });

  it('is asked, not given up, after a sleep of the machine in which nobody could have heard it', () => {
    expect(kinds(at(9e9, OPEN, { type: 'timer' }).effects)).toEqual(['ping']);
  });
});

describe('a nudge', () => {
  it('dials at once what waits, as the attempt it would have been', () => {
    const step = at(101_000, WAITING, { type: 'nudge' });
    expect(step.state).toMatchObject({ phase: 'dialing', generation: 5, attempt: 3, until: 116_000 });
    expect(kinds(step.effects)).toEqual(['dial']);
  });

  it('asks what is open, once, and gives it 3 s', () => {
    const asked = at(101_000, OPEN, { type: 'nudge' });
    expect(asked.effects).toEqual([{ type: 'ping' }]);
    expect(at(101_500, asked.state, { type: 'nudge' })).toEqual({ state: asked.state, effects: [] });
    expect(at(104_000, asked.state, { type: 'timer' }).state.phase).toBe('waiting');
  });

  it('asks again what was asked with a longer limit, or before a sleep', () => {
    expect(timerOf(at(131_000, ASKED, { type: 'nudge' }))).toBe(134_000);
    expect(timerOf(at(9e9, ASKED, { type: 'nudge' }))).toBe(9e9 + 3_000);
  });

  it('does not dial where the network is gone, but asks', () => {
    const gone = { type: 'nudge', isOnline: false } as const;
    expect(at(101_000, WAITING, gone)).toEqual({ state: WAITING, effects: [] });
    expect(kinds(at(101_000, OPEN, gone).effects)).toEqual(['ping']);
  });

  it('does nothing to the rest', () => {
    for (const state of [IDLE, DIALING, GREETING, ENDED]) {
      expect(at(101_000, state, { type: 'nudge' })).toEqual({ state, effects: [] });
    }
  });
});

/** When the timer must fire at the latest, for a state to be judged in time. */
function dueBy(state: ConnectionState): number | null {
  switch (state.phase) {
    case 'dialing':
    case 'waiting':
      return state.until;
    case 'open':
      return state.pongBy ?? state.heardAt + 30_000;
    case 'idle':
    case 'ended':
      return null;
    default:
      return state satisfies never;
  }
}

/** One life of a machine under inputs of chance: the world keeps one socket and one timer, as the real one does. */
function live(seed: number): void {
  const random = createSeededRandom(seed);
  const terms = {
    ...TERMS,
    reconnect: random.chance(0.9),
    maxAttempts: random.chance(0.3) ? random.int(0, 4) : Number.POSITIVE_INFINITY,
  };
  let state: ConnectionState = INITIAL;
  let now = 1_000_000;
  let socket: number | null = null;
  let greeted = 0;
  let running = false;
  for (let steps = 0; steps < 300; steps++) {
    const { generation } = state;
    const due = dueBy(state);
    now =
      due !== null && random.chance(0.5)
        ? Math.max(now, due) + random.int(0, 50)
        : now + random.int(0, 9_000);
    const inputs = inputsOf(generation).filter(({ type }) => type !== 'disconnect' || random.chance(0.1));
    const input: ConnectionInput =
      due !== null && now >= due ? { type: 'timer' } : (random.pick(inputs) ?? { type: 'timer' });
    if (input.type === 'closed' && input.generation === socket) socket = null;
    const step = stepConnection(Object.freeze(state), input, { now, random: random.next(), ...terms });
    checkStep(state, step, now);
    for (const effect of step.effects) {
      switch (effect.type) {
        case 'dial':
          expect(socket, 'two sockets at once').toBeNull();
          socket = step.state.generation;
          running = true;
          break;
        case 'greet':
          expect(step.state.generation, 'greeted twice').toBeGreaterThan(greeted);
          expect(socket).toBe(step.state.generation);
          greeted = step.state.generation;
          break;
        case 'ping':
          expect(step.state.phase).toBe('open');
          break;
        case 'hangUp':
          socket = null;
          break;
        case 'ended':
          expect(running, 'ended twice').toBe(true);
          running = false;
          break;
        default:
          effect satisfies never;
      }
    }
    state = step.state;
    const latest = dueBy(state);
    expect(running, 'a life that is over').toBe(latest !== null);
    if (latest === null) expect(socket).toBeNull();
    else expect(dueAt(state), `no timer in ${state.phase}`).toBe(latest);
    if (state.phase === 'dialing' || state.phase === 'waiting') {
      expect(state.attempt).toBeLessThanOrEqual(terms.maxAttempts);
      if (!terms.reconnect) expect(state.attempt).toBe(0);
    }
  }
}

describe('any order of inputs', () => {
  it('keeps one socket, one timer and one end a life (seeds 1 to 100)', () => {
    for (let seed = 1; seed <= 100; seed++) {
      try {
        live(seed);
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error });
      }
    }
  });

  it('G-11 comes back for ever: after 10,000 failed attempts it waits 30 s at most, and dials', () => {
    let now = 0;
    let step = at(now, IDLE, { type: 'connect' });
    for (let attempt = 0; attempt < 10_000; attempt++) {
      step = at(now, step.state, { type: 'closed', generation: step.state.generation, reason: 'refused' });
      const until = timerOf(step);
      expect(until - now).toBeLessThanOrEqual(30_000);
      now = until;
      step = at(now, step.state, { type: 'timer' });
      expect(step.state).toMatchObject({ phase: 'dialing', attempt: attempt + 1 });
    }
  });
});
