import { type Content, eventOf, WireError } from '@continuo/protocol';
import type { Clock, Head, Logs, Random, Records } from '../ports.ts';
import { type Checkpoint, storeCheckpoint } from './checkpoint.ts';
import { foldLog } from './fold.ts';
import type { Journal, Retention, RetentionLimits } from './log.ts';
import { keyOf, logOf, parseLog } from './names.ts';
import type { RunState } from './run.ts';
import { createSessionState, type QueuedMessage, reduceSession, type SessionState } from './session.ts';
import type { Due, Task, TaskSource, Workers } from './worker.ts';

/** How long a session outlives its last viewer and its last message, in ms. */
const KEEP_MS = 24 * 3_600_000;
/** How often the time of sessions with viewers is moved on, in ms. */
const TOUCH_MS = 3_600_000;
/** What was folded since the last checkpoint and makes a new one worth its write: whoever comes next reads less. */
const CHECKPOINT = { entries: 5_000, bytes: 4 * 1024 * 1024 };
/** Turns of a session that may wait for a person. */
const MAX_PAUSED = 100;
/** Bytes of session states kept in memory, and how long one that nobody asks for stays, in ms. */
const CACHE_BYTES = 64 * 1024 * 1024;
const CACHE_MS = 60_000;
const SWEEP_MS = 15_000;
/** Sessions of an owner that a list looks through at most, and what it shows. */
const LOOKED_THROUGH = 10_000;
const LISTED = 100;
const LIST_PAGE = 500;

export interface SessionRecord {
  readonly sessionId: string;
  readonly owner: string;
  /** `agent:echo`, `team:story-team`. */
  readonly component: string;
  readonly createdAt: number;
  /** Unix ms until which it is kept though nobody looks at it: a run of it waits for a person. */
  readonly keepUntil?: number;
}

export interface Session extends SessionRecord {
  readonly log: string;
}

export interface OpenSession {
  readonly session: Session;
  /** Whether it was there before. */
  readonly resumed: boolean;
  readonly head: Head;
}

/** What the log said when it was read up to a position. */
export interface SessionNow {
  readonly state: Readonly<SessionState>;
  readonly epoch: string;
  readonly offset: number;
}

export interface NewMessage {
  readonly content: Content;
  readonly messageId?: string;
  readonly metadata?: Readonly<Record<string, unknown>>;
  /** The client that sent it. */
  readonly source: string;
}

export interface Sessions {
  /** The owner's session of that id and component, or a new one: with an id of the server's, unless `create` names it. */
  open(options: {
    readonly owner: string;
    readonly component: string;
    readonly sessionId?: string | undefined;
    readonly create?: boolean;
  }): Promise<OpenSession>;
  /** The owner's session of that id, whatever it is with. */
  find(owner: string, sessionId: string): Promise<SessionRecord | null>;
  /** The owner's sessions with components that are wanted (`agent:echo`), newest first, at most 100. */
  list(owner: string, isWanted: (component: string) => boolean): Promise<readonly SessionRecord[]>;
  /** Stores a message: exactly one turn will answer it, however often it is submitted with one id. */
  submit(session: Session, message: NewMessage): Promise<{ readonly messageId: string }>;
  /** Ends the turn under way, or else the next one, also when it is paused. The message it answers; `null`: there is none. */
  abort(session: Session, reason: string): Promise<string | null>;
  /** The fold of its log as it stands now. It goes on changing: take from it what you need at once. */
  state(
    log: string,
  ): Promise<{ readonly state: SessionState; readonly offset: number; readonly epoch: string }>;
  /** Keeps a session, if it is there, until a time, in unix ms, or as long as it is kept anyway. */
  keep(owner: string, sessionId: string, until: number): Promise<void>;
  /** Keeps the session alive until the returned function is called. */
  view(session: Session): () => void;
  readonly viewed: number;
  /** Where the workers find the turns that are due. */
  readonly turns: TaskSource;
  readonly retention: Retention;
  close(): void;
}

export interface SessionsOptions {
  readonly logs: Logs;
  readonly records: Records;
  readonly journal: Journal;
  readonly workers: () => Workers;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits?: RetentionLimits | undefined;
  /** Messages of a session that may wait for their turn. */
  readonly inbox: number;
}

interface Folded {
  readonly state: SessionState;
  position: { epoch: string; offset: number };
  /** Offset of the newest checkpoint known, and the bytes folded since. */
  checkpoint: number;
  bytes: number;
}

export function createSessions(options: SessionsOptions): Sessions {
  const { logs, records, journal, workers, clock, random, inbox } = options;
  const viewers = new Map<string, { readonly session: Session; count: number }>();
  /** Least recently used first. Each value is the newest link of a chain, so that one fold at a time touches a state. */
  const folds = new Map<string, Promise<Folded>>();
  const cached = new Map<string, { readonly bytes: number; readonly usedAt: number }>();
  let cachedBytes = 0;

  async function store(session: Session): Promise<void> {
    const { log, ...record } = session;
    const until = Math.max(clock.now() + KEEP_MS, record.keepUntil ?? 0);
    await Promise.all([
      records.put(keyOf.session(record.owner, record.sessionId), record, { expiresAt: until }),
      logs.keep(log, until + TOUCH_MS),
    ]);
  }

  /** As {@link store}, with what others know of it: until when it is kept. */
  async function renew(session: Session): Promise<void> {
    const known = await records.get(keyOf.session(session.owner, session.sessionId));
    if (known) await store({ ...session, ...(known.value as SessionRecord) });
  }

  async function load(log: string): Promise<Folded> {
    for (let before: number | null = null; ; ) {
      // The checkpoint first: a log that is trimmed after this look has a newer one.
      const stored = await records.get(keyOf.checkpoint(log));
      const { epoch = '', offset = 0, oldest = 1 } = (await logs.heads([log]))[0] ?? {};
      const checkpoint = stored?.value as Checkpoint<SessionState> | undefined;
      if (checkpoint?.epoch === epoch && checkpoint.offset + 1 >= oldest && checkpoint.offset <= offset) {
        const position = { epoch, offset: checkpoint.offset };
        const state = { ...createSessionState(), ...checkpoint.state }; // an older server knew less
        return { state, position, checkpoint: checkpoint.offset, bytes: 0 };
      }
      if (oldest > 1 && stored && stored.version !== before) {
        before = stored.version;
        continue;
      }
      return {
        state: createSessionState(),
        position: { epoch, offset: oldest - 1 },
        checkpoint: oldest - 1,
        bytes: 0,
      };
    }
  }

  async function catchUp(log: string, folded: Folded): Promise<Folded> {
    const position = await foldLog(logs, log, folded.position, (entry) => {
      reduceSession(folded.state, entry);
      folded.position = { epoch: entry.epoch, offset: entry.offset };
    });
    if (!position) return catchUp(log, await load(log)); // trimmed or lost under us
    const { epoch, offset, bytes } = position;
    folded.position = { epoch, offset };
    folded.bytes += bytes;
    if (offset - folded.checkpoint >= CHECKPOINT.entries || folded.bytes >= CHECKPOINT.bytes) {
      await saveCheckpoint(log, folded);
    }
    return folded;
  }

  async function saveCheckpoint(log: string, folded: Folded): Promise<void> {
    folded.checkpoint = folded.position.offset;
    folded.bytes = 0;
    const checkpoint = { ...folded.position, state: folded.state };
    await storeCheckpoint({ logs, records }, log, { checkpoint, expiresAt: clock.now() + KEEP_MS * 8 });
  }

  function remember(log: string, bytes: number): void {
    cachedBytes += bytes - (cached.get(log)?.bytes ?? 0);
    cached.set(log, { bytes, usedAt: clock.now() });
    for (const oldest of folds.keys()) {
      if (cachedBytes <= CACHE_BYTES || oldest === log) break;
      forget(oldest);
    }
  }

  function forget(log: string): void {
    cachedBytes -= cached.get(log)?.bytes ?? 0;
    cached.delete(log);
    folds.delete(log);
  }

  function sweep(): void {
    const before = clock.now() - CACHE_MS;
    for (const log of folds.keys()) {
      const { usedAt } = cached.get(log) ?? {};
      if (usedAt === undefined || usedAt > before) break; // those after it were used later
      forget(log);
    }
    stopSweep = clock.schedule(clock.now() + SWEEP_MS, sweep);
  }
  let stopSweep = clock.schedule(clock.now() + SWEEP_MS, sweep);

  async function fold(log: string): Promise<Folded> {
    const before = folds.get(log) ?? load(log);
    const after = before.then((folded) => catchUp(log, folded));
    folds.delete(log);
    folds.set(log, after);
    try {
      const folded = await after;
      if (folds.get(log) === after)
        remember(log, folded.state.bytes + (folded.state.run?.text.length ?? 0) + 1_000);
      return folded;
    } catch (error) {
      if (folds.get(log) === after) forget(log);
      throw error;
    }
  }

  async function beforeTrim(log: string, before: number): Promise<number> {
    const folded = await fold(log);
    const { queue, paused } = folded.state;
    const waiting = [...queue, ...paused.map((turn) => turn.message)].map(({ offset }) => offset);
    await saveCheckpoint(log, folded);
    return Math.min(before, ...waiting, folded.position.offset + 1);
  }

  async function dueTurns(log: string): Promise<Due> {
    const { state, position } = await fold(log);
    const [first] = state.queue;
    const { run, paused } = state;
    const taskAt = (message: QueuedMessage, its: RunState | null): Promise<Task | 'lost' | null> =>
      taskOf(log, position.epoch, message, its);
    const waiting = await Promise.all(paused.map((turn) => taskAt(turn.message, turn.run)));
    const goesOn = waiting.find((task) => task !== 'lost' && task?.runId === first?.runId);
    const next = first ? (goesOn ?? (await taskAt(first, run))) : null;
    if (next === 'lost') return dueTurns(log);
    return { next, paused: waiting.filter((task) => task !== null && task !== 'lost') };
  }

  /** A turn that waits for a person keeps its session. */
  async function settled(log: string, paused: readonly Task[]): Promise<void> {
    if (paused.length === 0) return;
    const name = parseLog(log);
    const stored = 'owner' in name ? await records.get(keyOf.session(name.owner, name.id)) : null;
    if (stored) await store({ ...(stored.value as SessionRecord), log });
  }

  /** `lost`: the log was lost in this moment, and another one is there now. `null`: the session's time is over. */
  async function taskOf(
    log: string,
    epoch: string,
    next: QueuedMessage,
    run: RunState | null,
  ): Promise<Task | 'lost' | null> {
    const page = await logs.read(log, { epoch, offset: next.offset - 1 }, { entries: 1, bytes: 1 });
    if (page.kind === 'reset') return 'lost';
    const [entry] = page.entries;
    if (!entry) throw new Error(`${log}: message ${next.offset} is queued and gone`);
    const event = eventOf(entry);
    const name = parseLog(log);
    if (event.type !== 'message' || !('owner' in name))
      throw new Error(`${log}: ${next.offset} is no message`);
    const stored = await records.get(keyOf.session(name.owner, name.id));
    if (!stored) return null;
    return {
      log,
      ownLog: false,
      component: (stored.value as SessionRecord).component,
      runId: next.runId,
      messageId: next.messageId,
      sessionId: name.id,
      user: name.owner,
      input: event.content,
      state: run,
      async history() {
        const { state: now } = await fold(log);
        const unanswered = [...now.queue, ...now.paused.map((turn) => turn.message)];
        const waiting = new Set(unanswered.map((queued) => queued.messageId));
        return now.messages.filter(
          ({ messageId }) => messageId !== next.messageId && !waiting.has(messageId),
        );
      },
    };
  }

  function touch(): void {
    for (const { session } of viewers.values()) renew(session).catch(() => {}); // the next hour's touch is in time too
    stopTouch = clock.schedule(clock.now() + TOUCH_MS, touch);
  }
  let stopTouch = clock.schedule(clock.now() + TOUCH_MS, touch);

  async function find(owner: string, sessionId: string): Promise<SessionRecord | null> {
    const stored = sessionId.isWellFormed() ? await records.get(keyOf.session(owner, sessionId)) : null;
    return (stored?.value as SessionRecord | undefined) ?? null;
  }

  async function list(
    owner: string,
    isWanted: (component: string) => boolean,
  ): Promise<readonly SessionRecord[]> {
    const prefix = keyOf.session(owner, '');
    const found: SessionRecord[] = [];
    let seen = 0;
    for (let after = prefix; seen < LOOKED_THROUGH; ) {
      const page = await records.list(prefix, { after, limit: LIST_PAGE });
      seen += page.length;
      found.push(
        ...page.map(({ value }) => value as SessionRecord).filter(({ component }) => isWanted(component)),
      );
      const last = page.at(-1);
      if (!last || page.length < LIST_PAGE) break;
      after = last.key;
    }
    return found.sort((a, b) => b.createdAt - a.createdAt).slice(0, LISTED);
  }

  /** The newest submit of each session: one after the other, or several would find the same room. */
  const submitting = new Map<string, Promise<unknown>>();
  async function inTurn<T>(log: string, work: () => Promise<T>): Promise<T> {
    const mine = (submitting.get(log) ?? Promise.resolve()).then(work, work);
    submitting.set(log, mine);
    try {
      return await mine;
    } finally {
      if (submitting.get(log) === mine) submitting.delete(log);
    }
  }

  return {
    async open({ owner, component, sessionId, create = false }) {
      const record = sessionId === undefined ? null : await find(owner, sessionId);
      const resumed = record?.component === component;
      if (record && !resumed && create) {
        throw new WireError('not_found', `There is no session "${sessionId}" of this agent.`);
      }
      const id = resumed || create ? (sessionId ?? `ses_${random.id()}`) : `ses_${random.id()}`;
      const session: Session = {
        sessionId: id,
        owner,
        component,
        createdAt: resumed ? record.createdAt : clock.now(),
        ...(resumed && record.keepUntil !== undefined && { keepUntil: record.keepUntil }),
        log: logOf.session(owner, id),
      };
      const [standing] = resumed ? await logs.heads([session.log]) : [];
      const head = standing ?? (await logs.append(session.log, [])).head;
      await store(session);
      return { session, resumed, head };
    },

    find,
    list,

    submit: (session, { content, messageId = `msg_${random.id()}`, metadata, source }) =>
      inTurn(session.log, async () => {
        const { state } = await fold(session.log);
        if (state.messages.some((message) => message.messageId === messageId)) return { messageId }; // also when it was trimmed
        // The first of the queue is under way, or about to be.
        if (state.queue.length > inbox)
          throw inboxFull(`${inbox} messages of this session wait for their turn`);
        if (state.paused.length >= MAX_PAUSED)
          throw inboxFull(`${MAX_PAUSED} turns of this session wait for a person's answer`);
        const data = { messageId, runId: `run_${random.id()}`, content, ...(metadata && { metadata }) };
        await workers().announce(session.log, session.component, () =>
          journal.append(session.log, [{ id: `msg:${messageId}`, type: 'message', data, source }]),
        );
        return { messageId };
      }),

    async abort({ log, component }, reason) {
      const { state } = await fold(log);
      const turn = state.queue[0] ?? state.paused.at(-1)?.message;
      if (!turn) return null;
      await workers().cancel({ log, component, runId: turn.runId }, reason);
      return turn.messageId;
    },

    async state(log) {
      const { state, position } = await fold(log);
      return { state, ...position };
    },

    async keep(owner, sessionId, until) {
      const known = await records.get(keyOf.session(owner, sessionId));
      const record = known?.value as SessionRecord | undefined;
      if (!record || (record.keepUntil ?? 0) >= until) return;
      await store({ ...record, keepUntil: until, log: logOf.session(owner, sessionId) });
    },

    view(session) {
      const viewed = viewers.get(session.log) ?? { session, count: 0 };
      viewers.set(session.log, viewed);
      viewed.count++;
      return () => {
        if (--viewed.count > 0) return;
        viewers.delete(session.log);
        renew(session).catch(() => {}); // it then lives as long as its last touch gave it
      };
    },

    get viewed() {
      return viewers.size;
    },

    turns: { due: dueTurns, settled },
    retention: { maxEntries: 100_000, maxBytes: 64 * 1024 * 1024, ...options.limits, beforeTrim },
    close() {
      stopTouch();
      stopSweep();
    },
  };
}

function inboxFull(problem: string): WireError {
  return new WireError('inbox_full', `${problem}. Send it again later.`);
}
