import type { Entry } from '@continuo/protocol';
import type { Head, Logs, Records } from '../ports.ts';
import type { Feed, Feeds } from './feed.ts';
import { createMembersFold, type FoldRecord, type MembersFold, type Told } from './members-fold.ts';
import { keyOf, logOf } from './names.ts';
import { NO_DIALECT, NOBODY } from './nobody.ts';

/** How often a reader looks again whether the lobby has grown meanwhile; then it takes what there is. */
const LOOKS = 20;

interface Position {
  readonly epoch: string;
  readonly offset: number;
}

/** The fold up to a position of one epoch of the lobby. */
interface Checkpoint extends Position {
  readonly fold: FoldRecord;
}

/** The lobby log and its fold, kept up by a feed. */
export interface Lobby {
  /** Resolves when the fold has read what was there at the start. */
  open(): Promise<void>;
  /** As it is now; another one after the position was lost. */
  readonly fold: MembersFold;
  readonly position: Position;
  /** Resolves when the fold has taken the entry at a position, or the log was lost since. */
  upTo(position: Position): Promise<void>;
  /** Resolves when the fold stands at the log's head: what is read from it in the same step is no older than the call. */
  present(): Promise<void>;
  beforeTrim(log: string, before: number): Promise<number>;
  close(): void;
}

export interface LobbyOptions {
  readonly logs: Logs;
  readonly records: Records;
  readonly feeds: Feeds;
  /** The fold has taken an entry that was stored since the start, and changed so. */
  onEntry(entry: Entry, told: readonly Told[]): void;
  /** Entries were lost to the fold: it is another one now. */
  onLost(before: MembersFold, after: MembersFold): void;
}

const LOBBY = logOf.lobby();

export function createLobby({ logs, records, feeds, onEntry, onLost }: LobbyOptions): Lobby {
  let fold = createMembersFold();
  let position: Position = { epoch: '', offset: 0 };
  /** Up to here entries are older than this server. */
  let oldUntil: Position = position;
  const lostEpochs = new Set<string>();
  let waiting: { readonly position: Position; readonly run: () => void }[] = [];
  let opening: Promise<void> | null = null;
  let feed: Feed | null = null;
  let closed = false;

  async function load(): Promise<{ fold: MembersFold; position: Position; head: Head }> {
    for (let before: number | null = null; ; ) {
      // The checkpoint first: a log that is trimmed after this look has a newer one.
      const stored = await records.get(keyOf.checkpoint(LOBBY));
      const [standing] = await logs.heads([LOBBY]);
      const head = standing ?? (await logs.append(LOBBY, [])).head;
      const { epoch, offset, oldest } = head;
      const known = stored?.value as Checkpoint | undefined;
      if (known?.epoch === epoch && known.offset + 1 >= oldest && known.offset <= offset)
        return { fold: createMembersFold(known.fold), position: { epoch, offset: known.offset }, head };
      if (oldest > 1 && stored && stored.version !== before) {
        before = stored.version;
        continue;
      }
      return { fold: createMembersFold(), position: { epoch, offset: oldest - 1 }, head };
    }
  }

  function hasReached(wanted: Position): boolean {
    return wanted.epoch === position.epoch ? position.offset >= wanted.offset : lostEpochs.has(wanted.epoch);
  }

  function settle(): void {
    const due = waiting.filter((each) => hasReached(each.position));
    waiting = waiting.filter((each) => !due.includes(each));
    for (const { run } of due) run();
  }

  function take(entry: Entry): void {
    if (entry.epoch === position.epoch && entry.offset <= position.offset) return;
    position = { epoch: entry.epoch, offset: entry.offset };
    const told = fold.apply(entry);
    const isOld = entry.epoch === oldUntil.epoch && entry.offset <= oldUntil.offset;
    if (!isOld) onEntry(entry, told);
  }

  async function onReset(): Promise<Position> {
    const before = fold;
    const loaded = await load();
    if (loaded.position.epoch !== position.epoch) lostEpochs.add(position.epoch);
    fold = loaded.fold;
    position = loaded.position;
    onLost(before, fold);
    settle();
    return position;
  }

  async function start(): Promise<void> {
    const loaded = await load();
    if (closed) return;
    ({ fold, position } = loaded);
    const { head } = loaded;
    oldUntil = { epoch: head.epoch, offset: head.offset };
    feed = feeds.open({
      log: LOBBY,
      head,
      after: position,
      peer: NOBODY,
      dialect: NO_DIALECT,
      onMoved(entries) {
        for (const entry of entries) take(entry);
        settle();
      },
      onReset,
    });
    await upTo(oldUntil);
  }

  function upTo(wanted: Position): Promise<void> {
    if (closed || hasReached(wanted)) return Promise.resolve();
    return new Promise((run) => void waiting.push({ position: wanted, run }));
  }

  async function saveCheckpoint(): Promise<void> {
    const stored = await records.get(keyOf.checkpoint(LOBBY));
    const known = stored?.value as Checkpoint | undefined;
    if (known?.epoch === position.epoch && known.offset >= position.offset) return;
    const value: Checkpoint = { ...position, fold: fold.toRecord() };
    const version = await records.put(keyOf.checkpoint(LOBBY), value, { ifVersion: stored?.version ?? 0 });
    if (version === null) await saveCheckpoint(); // another server stored its own, which may be older
  }

  return {
    open() {
      opening ??= start().catch((error: unknown) => {
        opening = null;
        throw error;
      });
      return opening;
    },
    get fold() {
      return fold;
    },
    get position() {
      return position;
    },
    upTo,
    async present() {
      for (let looks = 0; looks < LOOKS; looks++) {
        const [head] = await logs.heads([LOBBY]);
        if (!head || closed || hasReached(head)) return;
        await upTo(head);
      }
    },
    async beforeTrim(_log, before) {
      const [head] = await logs.heads([LOBBY]);
      if (head) await upTo({ epoch: head.epoch, offset: Math.min(before - 1, head.offset) });
      const reached = position.offset;
      await saveCheckpoint();
      return Math.min(before, reached + 1);
    },
    close() {
      closed = true;
      feed?.close();
      for (const { run } of waiting) run();
      waiting = [];
    },
  };
}
