import type { EventFrame, JoinedFrame, SnapshotFrame } from '@continuo/protocol';
import { createSeededRandom } from '@continuo/testing';
import { describe, expect, it } from 'vitest';
import {
  NEW_STREAM,
  onEvent,
  onJoined,
  onSnapshot,
  type StreamEffect,
  type StreamState,
  type StreamStep,
  startOver,
} from './stream.ts';

function joined(fields: Partial<JoinedFrame>): JoinedFrame {
  const cursor = fields.cursor ?? 0;
  return {
    type: 'joined',
    session_id: 's1',
    agent_id: 'echo',
    resumed: true,
    cursor,
    sequence: cursor,
    head: cursor,
    oldest_cursor: 1,
    epoch: 'e1',
    resync_required: false,
    protocol_version: 1,
    server_min_version: 1,
    server_max_version: 1,
    presence: [],
    presence_total: 0,
    health: { status: 'ok', uptime: 1, agents: 1, sessions: 0, clients: 1, push: false },
    features: { methods: [], events: [] },
    policy: { max_payload: 1, max_buffered_bytes: 1, max_queued_frames: 1, heartbeat_ms: 1 },
    pending: [],
    turn: null,
    ...fields,
  };
}

function event(sequence: number): EventFrame {
  return {
    type: 'event',
    event: {
      type: 'token_stream',
      data: { content: `${sequence}`, cursor: sequence },
      event_id: `run_1:1.${sequence}`,
      timestamp: 1,
      source: null,
      target: null,
      sequence,
    },
  };
}

function snapshot(cursor: number, epoch = 'e1'): SnapshotFrame {
  return {
    type: 'snapshot',
    reason: 'trimmed',
    epoch,
    state: {
      session_id: 's1',
      agent_id: 'echo',
      pending: [],
      state: 'idle',
      messages: [],
      event_cursor: cursor,
      truncated: false,
    },
  };
}

type Input = (state: StreamState) => StreamStep;
const take =
  (sequence: number): Input =>
  (state) =>
    onEvent(state, event(sequence));
const join =
  (fields: Partial<JoinedFrame>): Input =>
  (state) =>
    onJoined(state, joined(fields));
const reset =
  (cursor: number, epoch?: string): Input =>
  (state) =>
    onSnapshot(state, snapshot(cursor, epoch));
const again: Input = (state) => ({ state: startOver(state), effects: [] });

/** What was handed over, as a line of words: `3` an event, `3..5` a reset from 3 to 5, `rejoin`. */
function word(effect: StreamEffect): string {
  switch (effect.type) {
    case 'deliver':
      return String(effect.event.sequence);
    case 'reset':
      return `${effect.snapshot ? 'snapshot ' : ''}${effect.expected}..${effect.received}`;
    case 'rejoin':
      return 'rejoin';
    default:
      return effect satisfies never;
  }
}

function follow(from: StreamState, inputs: readonly Input[]): { state: StreamState; words: string[] } {
  let state = from;
  const words: string[] = [];
  for (const input of inputs) {
    const step = input(Object.freeze(state));
    state = step.state;
    words.push(...step.effects.map(word));
  }
  return { state, words };
}

const AT_3: StreamState = { ...NEW_STREAM, sessionId: 's1', epoch: 'e1', cursor: 3 };

describe('the events of a session', () => {
  it('G-11 are handed over once and in order', () => {
    const { state, words } = follow(NEW_STREAM, [join({ resumed: false }), take(1), take(2), take(3)]);
    expect(words).toEqual(['1', '2', '3']);
    expect(state).toEqual(AT_3);
  });

  it('G-11 are not handed over twice', () => {
    expect(follow(AT_3, [take(3), take(1), take(4), take(4), take(3), take(5)]).words).toEqual(['4', '5']);
  });

  it('G-10 go on after the position that was resumed', () => {
    const words = follow(AT_3, [join({ cursor: 3 }), take(4)]).words;
    expect(words).toEqual(['4']);
  });

  it('G-10 go on after the position that another client left', () => {
    const given = { ...NEW_STREAM, sessionId: 's1', cursor: 41 };
    const { state, words } = follow(given, [join({ cursor: 41, epoch: 'e7' }), take(42)]);
    expect(words).toEqual(['42']);
    expect(state.epoch).toBe('e7');
  });
});

describe('a hole', () => {
  it('G-12 is asked for once, and nothing is taken until the answer', () => {
    const { state, words } = follow(AT_3, [take(5), take(6), take(4), take(7)]);
    expect(words).toEqual(['rejoin']);
    expect(state.cursor).toBe(3);
  });

  it('G-12 is healed by the answer', () => {
    const words = follow(AT_3, [take(5), join({ cursor: 3 }), take(4), take(5), take(6)]).words;
    expect(words).toEqual(['rejoin', '4', '5', '6']);
  });

  it('G-12 that comes again is one the server cannot fill: it is shown, and what is there goes on', () => {
    const words = follow(AT_3, [take(6), join({ cursor: 3 }), take(6), take(7)]).words;
    expect(words).toEqual(['rejoin', '4..6', '6', '7']);
  });

  it('G-12 that is another one is asked for too', () => {
    const words = follow(AT_3, [
      take(5),
      join({ cursor: 3 }),
      take(4),
      take(6),
      join({ cursor: 4 }),
      take(5),
      take(6),
    ]).words;
    expect(words).toEqual(['rejoin', '4', 'rejoin', '5', '6']);
  });

  it('G-12 is answered by a new connection as well', () => {
    const words = follow(AT_3, [take(9), join({ cursor: 3, head: 9 }), take(4), take(5)]).words;
    expect(words).toEqual(['rejoin', '4', '5']);
  });

  it('G-12 that the server has lost is answered by a snapshot', () => {
    const words = follow(AT_3, [
      take(9),
      join({ cursor: 20, resync_required: true }),
      reset(20),
      take(21),
    ]).words;
    expect(words).toEqual(['rejoin', 'snapshot 4..21', '21']);
  });

  it('G-12 is answered also by a snapshot that was under way', () => {
    expect(follow(AT_3, [take(9), reset(20), take(21)]).words).toEqual(['rejoin', 'snapshot 4..21', '21']);
  });

  it('G-12 of a new session is asked for, though the old session had one at the same place', () => {
    const words = follow(AT_3, [
      take(5),
      join({ session_id: 's2', resumed: false }),
      take(1),
      take(2),
      take(3),
      take(5),
    ]).words;
    expect(words).toEqual(['rejoin', '4..1', '1', '2', '3', 'rejoin']);
  });

  it('G-12 of a new epoch is asked for, though the old epoch had one at the same place', () => {
    const words = follow(AT_3, [
      take(5),
      join({ epoch: 'e2', cursor: 2, resync_required: true }),
      reset(2, 'e2'),
      take(3),
      take(5),
    ]).words;
    expect(words).toEqual(['rejoin', 'snapshot 4..3', '3', 'rejoin']);
  });
});

describe('a lost position', () => {
  it('G-10 is shown when the session is another one, which begins at its start', () => {
    const { state, words } = follow(AT_3, [join({ session_id: 's2', epoch: 'f1', resumed: false }), take(1)]);
    expect(words).toEqual(['4..1', '1']);
    expect(state).toMatchObject({ sessionId: 's2', epoch: 'f1', cursor: 1 });
  });

  it('G-10 is not shown by the first session: nothing was lost', () => {
    expect(follow(NEW_STREAM, [join({ resumed: false })]).words).toEqual([]);
  });

  it('G-10 is shown by one snapshot, and events go on after its cursor', () => {
    const { state, words } = follow(AT_3, [
      join({ cursor: 44, resync_required: true, epoch: 'e2' }),
      reset(44, 'e2'),
      take(45),
    ]);
    expect(words).toEqual(['snapshot 4..45', '45']);
    expect(state).toMatchObject({ cursor: 45, epoch: 'e2' });
  });

  it('G-10 is shown also in the middle of a connection, and also backwards', () => {
    expect(follow(AT_3, [take(4), reset(1, 'e2'), take(2), take(3)]).words).toEqual([
      '4',
      'snapshot 5..2',
      '2',
      '3',
    ]);
  });

  it('L-2 is still of the old epoch until its snapshot is there: a drop in between must not hide the loss', () => {
    const { state } = follow(AT_3, [join({ epoch: 'e2', cursor: 9, resync_required: true })]);
    expect(state).toMatchObject({ epoch: 'e1', cursor: 3 });
  });
});

describe('starting over', () => {
  it('G-13 takes nothing of the old feed, then everything from the first event', () => {
    const words = follow(AT_3, [again, take(4), take(1), join({ cursor: 0 }), take(1), take(2)]).words;
    expect(words).toEqual(['1', '2']);
  });

  it('G-13 is no loss: nothing is shown as lost', () => {
    expect(follow(AT_3, [again, join({ cursor: 0 })]).words).toEqual([]);
  });

  it('G-12 asks for a hole that was there before', () => {
    const words = follow({ ...AT_3, asked: 2 }, [again, join({ cursor: 0 }), take(1), take(3)]).words;
    expect(words).toEqual(['1', 'rejoin']);
  });
});

/** A server that moves the feed when it is asked to, over a network that loses and doubles frames with chance `loss`. */
function play(seed: number, loss: number, holes: ReadonlySet<number> = new Set()) {
  const random = createSeededRandom(seed);
  const head = random.int(5, 60);
  const log = Array.from({ length: head }, (_, index) => index + 1).filter(
    (sequence) => !holes.has(sequence),
  );
  const handed: number[] = [];
  const shown: number[] = [];
  let state = follow(NEW_STREAM, [join({ resumed: false })]).state;
  let feed = [...log];
  const rejoined = (): void => {
    const { cursor } = state;
    state = follow(state, [join({ cursor })]).state;
    feed = log.filter((sequence) => sequence > cursor);
  };
  for (let frames = 0; state.cursor < head; frames++) {
    if (frames > 10_000) throw new Error(`seed ${seed}: it never comes to an end`);
    if (feed.length === 0) rejoined(); // what was lost at the very end shows when the next connection joins
    const chance = frames < 500 ? loss : 0;
    const [sequence = 0] = feed;
    if (!random.chance(chance)) feed.shift();
    if (random.chance(chance)) continue;
    const step = onEvent(state, event(sequence));
    state = step.state;
    for (const effect of step.effects) {
      if (effect.type === 'deliver') handed.push(effect.event.sequence);
      if (effect.type === 'reset') {
        for (let missing = effect.expected; missing < effect.received; missing++) shown.push(missing);
      }
      if (effect.type === 'rejoin') rejoined();
    }
  }
  return { handed, shown, log };
}

const sorted = (numbers: readonly number[]): number[] => [...numbers].sort((a, b) => a - b);

describe('any order of losses and doubles', () => {
  it('G-11 hands over each event at most once and in order, and shows all it does not hand over (seeds 1 to 300)', () => {
    for (let seed = 1; seed <= 300; seed++) {
      const { handed, shown, log } = play(seed, 0.2);
      expect(handed, `seed ${seed}`).toEqual(sorted(handed));
      expect(sorted([...handed, ...shown]), `seed ${seed}`).toEqual(log);
    }
  });

  it('L-4 shows what the log itself has lost, and nothing else when the network is well (seeds 1 to 100)', () => {
    for (let seed = 1; seed <= 100; seed++) {
      const random = createSeededRandom(-seed);
      const holes = new Set(Array.from({ length: 3 }, () => random.int(1, 4)));
      const { handed, shown, log } = play(seed, 0, holes);
      expect(handed, `seed ${seed}`).toEqual(log);
      expect(shown, `seed ${seed}`).toEqual(sorted([...holes]));
    }
  });
});
