import type { Component, Content, HistoryMessage, RunLimits } from '@continuo/protocol';
import {
  type Clock,
  type Fence,
  type Logs,
  type Random,
  type Records,
  type Report,
  type Stored,
  StoreError,
} from '../ports.ts';
import type { Approvals } from './approvals.ts';
import { type AbortCause, createDriver } from './driver.ts';
import { claimLease, type Lease, type LeaseTerms, releaseLease, renewLease } from './lease.ts';
import type { Journal } from './log.ts';
import type { MemoryBook } from './memories.ts';
import { keyOf, LATER, parseLog } from './names.ts';
import { isExpired, openApprovals, type RunState } from './run.ts';
import type { Steering } from './steering.ts';

/** How often the logs with something to do are looked through, in ms: it finds what a dead server left. */
const SCAN_MS = 1_000;
const SCAN_PAGE = 500;
/** Logs one server works on at once, of all owners and of one; the others' work waits in the store. */
const MAX_ACTIVE = 10_000;
const MAX_ACTIVE_OF_OWNER = 1_000;
/** How long a lease record and the wish that a run ends are kept, in ms. */
const KEEP_MS = 48 * 3_600_000;

/** One run to drive to its end. */
export interface Task {
  readonly log: string;
  /** Whether the log ends with the run. */
  readonly ownLog: boolean;
  /** `agent:echo`, `team:story-team`. */
  readonly component: string;
  readonly runId: string;
  readonly messageId: string;
  readonly sessionId: string;
  readonly user: string;
  readonly input: Content;
  /** What the log says of the run so far; `null`: nothing. */
  readonly state: RunState | null;
  history(): Promise<readonly HistoryMessage[]>;
}

/** What there is to do in a log. */
export interface Due {
  /** The run to drive; `null`: none. */
  readonly next: Task | null;
  /** Runs that wait for answers. */
  readonly paused: readonly Task[];
}

/** Where runs come from: a session's messages, or the runs of door 4. */
export interface TaskSource {
  due(log: string): Promise<Due>;
  /** What remains to be told of how the log stands: it has nothing due, or an answer has come. Idempotent. */
  settled(log: string, paused: readonly Task[]): Promise<void>;
}

/** `wish`: somebody waits for it to be looked at, also where there is no room for another run. */
export type Urgency = 'work' | 'wish';

export interface Workers {
  /**
   * Does `add`, which makes work in a log, so that the work is done by some server even when this one dies at any
   * moment. `component`: who must be there to do it.
   */
  announce<T>(log: string, component: string, add: () => Promise<T>, urgency?: Urgency): Promise<T>;
  /** Ends a run, durably and idempotently, wherever it is driven, also before it has begun and while it is paused. */
  cancel(run: Pick<Task, 'log' | 'component' | 'runId'>, reason: string): Promise<void>;
  /** Logs worked on here. */
  readonly active: number;
  isActive(log: string): boolean;
  /** No new work; what is under way may end until the deadline, then it ends `interrupted`. */
  close(drainMs: number): Promise<void>;
}

export interface WorkersOptions {
  readonly logs: Logs;
  readonly records: Records;
  readonly journal: Journal;
  readonly approvals: Approvals;
  readonly steering: Steering;
  readonly memories: MemoryBook;
  readonly runLimits?: Partial<RunLimits> | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly report: Report;
  readonly terms: LeaseTerms;
  readonly components: ReadonlyMap<string, Component>;
  readonly sources: { readonly session: TaskSource; readonly run: TaskSource };
}

/** The record `work/<log>`: there may be something to do, for a server that has the component. */
interface Work {
  readonly component: string;
  readonly by: string;
  readonly at: number;
}

/** A lease that this server holds, and the run it drives under it. */
interface Held {
  readonly log: string;
  lease: Lease;
  version: number;
  lost: boolean;
  /** Drives under this lease. */
  drives: number;
  stopTimer: () => void;
  renewing: Promise<void> | null;
  runId: string | null;
  controller: AbortController;
  cause: AbortCause | null;
}

interface Active {
  held: Held | null;
  /** Work was added since it last looked. */
  again: boolean;
  /** It is there for a wish, and beyond the bounds: no agent is run for it. */
  readonly isExtra: boolean;
  done: Promise<void>;
}

/**
 * Drives the runs of this server and takes over those of dead ones. A log's runs are driven one at a time, by the
 * holder of its lease; everything that is appended bears the lease's token.
 */
export function createWorkers(options: WorkersOptions): Workers {
  const { logs, records, approvals, clock, random, report, terms, components, sources } = options;
  const me = random.id();
  const driver = createDriver(options);
  const active = new Map<string, Active>();
  /** How many of them each owner has. */
  const activeOf = new Map<string, number>();
  /** Announced here and not yet stored: work that must not be taken for done. */
  const announcing = new Map<string, number>();
  const busyUntil = new Map<string, number>();
  let closed = false;

  function sourceOf(log: string): TaskSource {
    const name = parseLog(log);
    if (!('owner' in name)) throw new Error(`${log} has no runs`);
    return sources[name.kind];
  }

  function putLease(log: string, lease: Lease, ifVersion: number): Promise<number | null> {
    return records.put(keyOf.lease(log), lease, { ifVersion, expiresAt: clock.now() + KEEP_MS });
  }

  async function claim(log: string): Promise<Held | null> {
    const [stored, [head]] = await Promise.all([records.get(keyOf.lease(log)), logs.heads([log])]);
    const current = (stored?.value as Lease | undefined) ?? null;
    const { leaseMs } = terms;
    const lease = claimLease(current, { holder: me, now: clock.now(), leaseMs, fence: head?.fence ?? 0 });
    if ('busyUntil' in lease) {
      busyUntil.set(log, lease.busyUntil);
      return null;
    }
    const version = await putLease(log, lease, stored?.version ?? 0);
    if (version === null) return null;
    const held: Held = {
      log,
      lease,
      version,
      lost: false,
      drives: 0,
      stopTimer: () => {},
      renewing: null,
      runId: null,
      controller: new AbortController(),
      cause: null,
    };
    renewLater(held);
    return held;
  }

  function abort(held: Held, cause: AbortCause): void {
    held.cause ??= cause;
    held.controller.abort();
  }

  function begin(held: Held, runId: string): void {
    held.runId = runId;
    held.controller = new AbortController();
    held.cause = null;
    if (held.lost) abort(held, 'lost');
  }

  function lose(held: Held): void {
    held.lost = true;
    held.cause = 'lost';
    held.stopTimer();
    abort(held, 'lost');
  }

  function renewLater(held: Held): void {
    const at = Math.min(clock.now() + terms.renewMs, held.lease.expiresAt);
    held.stopTimer = clock.schedule(at, () => {
      held.renewing = renew(held).catch((error: unknown) =>
        report(`renewing the lease of ${held.log}`, error),
      );
    });
  }

  async function renew(held: Held): Promise<void> {
    const lease = renewLease(held.lease, clock.now(), terms.leaseMs);
    if (!lease) return lose(held);
    renewLater(held); // also when the store does not answer: the lease then lapses on time
    const { runId } = held;
    const [version, cancelled] = await Promise.all([
      putLease(held.log, lease, held.version),
      runId === null ? null : records.get(keyOf.cancel(held.log, runId)),
    ]);
    if (held.lost) return;
    if (version === null) return lose(held);
    held.lease = lease;
    held.version = version;
    if (cancelled && held.runId === runId) abort(held, 'cancelled');
  }

  async function release(held: Held): Promise<void> {
    held.stopTimer();
    await held.renewing;
    held.stopTimer();
    if (!held.lost) await putLease(held.log, releaseLease(held.lease), held.version);
    held.lost = true;
  }

  /** Does all that is due in a log, if nobody else is at it. */
  async function work(log: string, mine: Active): Promise<void> {
    const held = await claim(log);
    if (!held) return;
    mine.held = held;
    try {
      // From here on no former holder can append, so what is read now is all there is.
      const { token } = held.lease;
      const { head } = await logs.append(log, [], { fence: { run: '', token } });
      const { epoch } = head;
      while (!closed && !held.lost) {
        mine.again = false;
        const listed = await records.get(keyOf.work(log));
        const due = await sourceOf(log).due(log);
        const { stopped, told } = await lookAt(due.paused, { token, epoch });
        if (told) {
          await sourceOf(log).settled(log, due.paused);
          continue;
        }
        const task = stopped ?? due.next;
        if (task) {
          if (closed) return; // it has not begun: another server does it
          if (
            mine.isExtra &&
            !stopped &&
            !(task.state && isExpired(task.state)) &&
            (await wishOf(task)) === null
          )
            return; // there is no room
          if (!listed) await list(log, task.component); // so that it is found if this server dies
          const fence = { run: task.runId, token, epoch };
          if (!(await perform(task, fence, held))) return;
        } else {
          await sourceOf(log).settled(log, due.paused);
          await lookLater(log, due.paused);
          if (due.paused.some(({ component }) => !components.has(component))) return; // for a server that has it
          await takeOff(log, listed);
          if (!mine.again) return;
        }
      }
    } catch (error) {
      if (!(error instanceof StoreError && error.code === 'fenced')) throw error;
      lose(held);
    } finally {
      await release(held);
    }
  }

  async function wishOf({ log, runId }: Task): Promise<string | null> {
    const stored = await records.get(keyOf.cancel(log, runId));
    return stored && (stored.value as { reason: string }).reason;
  }

  /** Tells paused runs what was answered, and finds one that is to end instead. */
  async function lookAt(
    paused: readonly Task[],
    fence: Omit<Fence, 'run'>,
  ): Promise<{ readonly stopped: Task | null; readonly told: boolean }> {
    let told = false;
    for (const task of paused) {
      if ((await wishOf(task)) !== null) return { stopped: task, told };
      const component = components.get(task.component);
      if (component && (await approvals.tell(task, component, fence))) told = true;
    }
    return { stopped: null, told };
  }

  /** Drives one run; false when this server has not what it takes. */
  async function perform(task: Task, fence: Fence, held: Held): Promise<boolean> {
    const component = components.get(task.component);
    if (!component) return false;
    begin(held, task.runId);
    if ((await wishOf(task)) !== null) abort(held, 'cancelled');
    const outcome = await driver.drive({
      task,
      component,
      fence,
      signal: held.controller.signal,
      cause: () => held.cause,
      isHeld: () => !held.lost && clock.now() < held.lease.expiresAt,
      serial: held.drives++,
      cancelReason: () => wishOf(task),
    });
    held.runId = null;
    // One that met the pause still stands: whoever looks next sees to it.
    if (held.cause === 'cancelled' && outcome === 'ended')
      await records.remove(keyOf.cancel(task.log, task.runId));
    return true;
  }

  /** So that somebody looks when the time of a question is over. */
  async function lookLater(log: string, paused: readonly Task[]): Promise<void> {
    const open = paused.flatMap(({ state, component }) =>
      state ? openApprovals(state).map(({ expiresAt }) => ({ at: expiresAt, component })) : [],
    );
    const [first] = open.sort((a, b) => a.at - b.at);
    if (!first) return;
    const { at, component } = first;
    await records.put(keyOf.later(at, log), { component }); // whoever looks first takes it away, however late
  }

  /** Lists what is to be looked at by now. */
  async function wakeSleepers(now: number): Promise<void> {
    for (const { key, value } of await records.list(LATER, { limit: SCAN_PAGE })) {
      const [, at = '', ...log] = key.split('/');
      if (Number(at) > now) return;
      const { component } = value as { component: string };
      await list(log.join('/'), component);
      await records.remove(key);
      if (components.has(component)) start(log.join('/'), 'wish');
    }
  }

  async function list(log: string, component: string): Promise<void> {
    const work: Work = { component, by: me, at: clock.now() };
    await records.put(keyOf.work(log), work);
  }

  /** Takes the log off the list, unless work was added since `listed` was read or is being added now. */
  async function takeOff(log: string, listed: Stored | null): Promise<void> {
    if (!listed || announcing.has(log)) return;
    const { by, at } = listed.value as Work;
    // Another server may have announced what it has not stored yet; its own worker will see to it, if it lives.
    if (by !== me && clock.now() - at < terms.leaseMs * 2) return;
    await records.remove(keyOf.work(log), listed.version);
  }

  function ownerOf(log: string): string {
    const name = parseLog(log);
    return 'owner' in name ? name.owner : '';
  }

  function countOwner(log: string, by: 1 | -1): void {
    const owner = ownerOf(log);
    const count = (activeOf.get(owner) ?? 0) + by;
    if (count > 0) activeOf.set(owner, count);
    else activeOf.delete(owner);
  }

  function isFull(log: string): boolean {
    return active.size >= MAX_ACTIVE || (activeOf.get(ownerOf(log)) ?? 0) >= MAX_ACTIVE_OF_OWNER;
  }

  function start(log: string, urgency: Urgency = 'work'): void {
    const running = active.get(log);
    if (running) {
      running.again = true;
      return;
    }
    const isExtra = isFull(log);
    if (closed || (isExtra && urgency === 'work')) return; // the scan finds it again
    const mine: Active = { held: null, again: false, isExtra, done: Promise.resolve() };
    active.set(log, mine);
    countOwner(log, 1);
    mine.done = work(log, mine)
      .catch((error: unknown) => report(`working on ${log}`, error))
      .finally(() => {
        active.delete(log);
        countOwner(log, -1);
        if (mine.again) start(log);
      });
  }

  async function scan(): Promise<void> {
    const now = clock.now();
    for (const [log, until] of busyUntil) if (until <= now) busyUntil.delete(log);
    await wakeSleepers(now);
    const prefix = keyOf.work('');
    for (let after = prefix; ; ) {
      const page = await records.list(prefix, { after, limit: SCAN_PAGE });
      for (const { key, value } of page) {
        const log = key.slice(prefix.length);
        if (!active.has(log) && !busyUntil.has(log) && components.has((value as Work).component)) start(log);
      }
      const last = page.at(-1);
      if (!last || page.length < SCAN_PAGE) return;
      after = last.key;
    }
  }

  let stopScan = (): void => {};
  function scanLater(): void {
    stopScan = clock.schedule(clock.now() + SCAN_MS * (0.75 + random.next() / 2), () => {
      scan()
        .catch((error: unknown) => report('looking for work', error))
        .finally(() => {
          if (!closed) scanLater();
        });
    });
  }
  scanLater();

  async function announce<T>(
    log: string,
    component: string,
    add: () => Promise<T>,
    urgency?: Urgency,
  ): Promise<T> {
    announcing.set(log, (announcing.get(log) ?? 0) + 1);
    try {
      await list(log, component);
      return await add();
    } finally {
      const left = (announcing.get(log) ?? 1) - 1;
      if (left > 0) announcing.set(log, left);
      else announcing.delete(log);
      if (components.has(component)) start(log, urgency);
    }
  }

  return {
    announce,

    async cancel({ log, component, runId }, reason) {
      const wish = { expiresAt: clock.now() + KEEP_MS };
      await announce(log, component, () => records.put(keyOf.cancel(log, runId), { reason }, wish), 'wish');
      const held = active.get(log)?.held;
      if (held?.runId === runId) abort(held, 'cancelled');
    },

    get active() {
      return active.size;
    },
    isActive: (log) => active.has(log),

    async close(drainMs) {
      closed = true;
      stopScan();
      const stopDeadline = clock.schedule(clock.now() + drainMs, () => {
        for (const { held } of active.values()) if (held) abort(held, 'drained');
      });
      await Promise.all([...active.values()].map((each) => each.done));
      stopDeadline();
    },
  };
}
