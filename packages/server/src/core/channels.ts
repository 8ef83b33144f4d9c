import { type StoredMessage, WireError } from '@continuo/protocol';
import type { Clock, Head, Logs, Random, Records, Report } from '../ports.ts';
import { demand, type Principal } from './access.ts';
import {
  CHANNEL_DEFAULTS,
  type ChannelOptions,
  type ChannelSettings,
  createChannelOptions,
} from './channel-options.ts';
import { askHook, type ChannelHooks } from './hooks.ts';
import type { Journal, Retention } from './log.ts';
import { storedMessage } from './message.ts';
import { keyOf, logOf } from './names.ts';
import {
  type ChannelPage,
  createFilling,
  emptyPage,
  limitOf,
  PAGE_BYTES,
  type PageQuery,
  startOf,
} from './page.ts';
import { createTurns } from './turns.ts';
import { type ChannelRecord, createUpkeep } from './upkeep.ts';

/** Names in one answer: with them it stays below 256 KiB. */
const MAX_NAMES = 1_000;
/** Bytes of what is said about a channel, as JSON. */
const MAX_METADATA_BYTES = 4 * 1024;
/** How often a page is begun anew while its log is trimmed. */
const TRIES = 5;

export interface Published {
  readonly eventId: string;
  readonly sequence: number;
}

/** Who asks for something on a channel. */
export interface Asker {
  readonly principal: Principal;
  /** `null`: no client, a request of a server. */
  readonly clientId: string | null;
  /** Whose message it will be; without it, the server's. */
  readonly source: string | undefined;
}

/** What a subscriber asked for. */
export interface SubscribeWish {
  readonly delivery?: boolean | undefined;
  readonly echo?: boolean | undefined;
  readonly since?: number | undefined;
  readonly epoch?: string | undefined;
}

/** What it gets. */
export interface Admission {
  /** At least once, with acks. */
  readonly delivery: boolean;
  readonly echo: boolean;
  /** Where a new reader begins; `undefined`: at the head. */
  readonly since: number | undefined;
  /** The epoch `since` belongs to; `undefined`: the one the log has. */
  readonly epoch: string | undefined;
  /** Whether others are told that it is there. */
  readonly presence: boolean;
}

export interface NewChannelMessage {
  readonly data: unknown;
  /** Idempotency key within the channel. */
  readonly eventId?: string | undefined;
}

export interface ChannelNames {
  readonly names: readonly string[];
  /** Whether there are more after the last of them. */
  readonly more: boolean;
}

/** A channel is a log that is trimmed; who reads it is a matter of feeds, what was acked a matter of consumers. */
export interface Channels {
  /** Its head; creates it when missing. */
  open(name: string): Promise<Head>;
  /** Makes it, with what its owner says about it. False: it was there, and stays as it is. Throws `too_large`. */
  create(name: string, metadata?: Readonly<Record<string, unknown>>): Promise<boolean>;
  /** Stored when it resolves. The same event id again stores nothing and returns the first position. */
  publish(
    name: string,
    message: NewChannelMessage & { readonly source?: string | undefined },
  ): Promise<Published>;
  /** Whether somebody may subscribe, and as what. Throws `forbidden`, or what the hook threw. */
  admit(asker: Asker, name: string, wish: SubscribeWish): Promise<Admission>;
  /** Publishes for a client, in the order of its calls, or for a server. Throws `forbidden`, or what the hook threw. */
  accept(asker: Asker, name: string, message: NewChannelMessage): Promise<Published>;
  /** Names after `after`, in their order: those for which `mayRead` is true. At most 1,000. */
  list(query: {
    readonly after?: string | undefined;
    readonly limit?: number | undefined;
    mayRead(name: string): boolean;
  }): Promise<ChannelNames>;
  /** Messages as they are stored: at most 1,000 and 512 KiB. */
  history(name: string, query?: PageQuery): Promise<ChannelPage<StoredMessage>>;
  settingsOf(name: string): ChannelSettings;
  /** By count and bytes, of the channel's log and of its dead letters'. */
  retentionOf(name: string): Retention;
  close(): void;
}

export interface ChannelsOptions {
  readonly logs: Logs;
  readonly records: Records;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly random: Random;
  readonly report: Report;
  /** How many read a log in this process. */
  watchers(log: string): number;
  /** What holds where no pattern says otherwise. */
  readonly base?: ChannelOptions | undefined;
  /** By name, or by a prefix ending in `*`. */
  readonly patterns?: Readonly<Record<string, ChannelOptions>> | undefined;
  readonly hooks?: ChannelHooks | undefined;
}

const encoder = new TextEncoder();

export function createChannels(options: ChannelsOptions): Channels {
  const { logs, records, journal, clock, random, report, patterns = {}, hooks = {} } = options;
  const { onPublish, onSubscribe } = hooks;
  const settingsOf = createChannelOptions(patterns, { ...CHANNEL_DEFAULTS, ...options.base });
  const inTurn = createTurns();
  const upkeep = createUpkeep({
    logs,
    records,
    clock,
    report,
    watchers: options.watchers,
    maxAgeOf: (name) => settingsOf(name).maxAgeMs,
  });

  async function open(name: string): Promise<Head> {
    const log = logOf.channel(name);
    const [standing] = await logs.heads([log]);
    const head = standing ?? (await logs.append(log, [])).head;
    await upkeep.use(name);
    return head;
  }

  const publish: Channels['publish'] = async (name, { data, source, eventId = newId() }) => {
    const draft = { id: eventId, type: 'message', data, ...(source !== undefined && { source }) };
    const { offsets } = await journal.append(logOf.channel(name), [draft]);
    // It is stored, whatever becomes of the rest: the next use tries again.
    await upkeep.use(name)?.catch((error: unknown) => report(`keeping channel ${name}`, error));
    return { eventId, sequence: offsets[0] ?? 0 };
  };

  function newId(): string {
    return `evt_${random.id()}`;
  }

  return {
    open,
    publish,
    settingsOf,
    retentionOf: settingsOf,

    async create(name, metadata) {
      if (encoder.encode(JSON.stringify(metadata ?? {})).byteLength > MAX_METADATA_BYTES) {
        throw new WireError(
          'too_large',
          `The metadata of a channel has at most ${MAX_METADATA_BYTES} bytes.`,
        );
      }
      const [standing] = await logs.heads([logOf.channel(name)]);
      const record: ChannelRecord = { createdAt: clock.now(), ...(metadata && { metadata }) };
      const made = standing
        ? null
        : await records.put(keyOf.channel(name), record, { ifVersion: 0, expiresAt: upkeep.keepUntil(name) });
      await open(name);
      return made !== null;
    },

    async admit({ principal, clientId }, name, wish) {
      demand(principal, 'read', 'channels', name);
      const settings = settingsOf(name);
      const { since, epoch } = wish;
      const asked = { delivery: settings.delivery && (wish.delivery ?? true), echo: wish.echo ?? false };
      const { presence } = settings;
      if (!onSubscribe) return { ...asked, since, epoch, presence };
      const changed = await askHook(
        () => onSubscribe({ channel: name, clientId, principal, ...asked, since }),
        { name: 'onSubscribe', refused: `You may not subscribe to channel "${name}".`, clock, report },
      );
      const begins = changed.since ?? since;
      if (begins !== undefined && !(Number.isSafeInteger(begins) && begins >= 0)) {
        report(
          'the hook onSubscribe',
          new TypeError(`"since" is ${begins}: it must be a whole number, 0 or more`),
        );
        throw new WireError('internal', 'Something went wrong here. It was noted; try again.');
      }
      return {
        delivery: settings.delivery && (changed.delivery ?? asked.delivery),
        echo: changed.echo ?? asked.echo,
        since: begins,
        epoch: changed.since === undefined ? epoch : undefined, // it meant another position
        presence,
      };
    },

    async accept({ principal, clientId, source }, name, { data, eventId = newId() }) {
      demand(principal, 'publish', 'channels', name);
      if (!onPublish) return publish(name, { data, source, eventId });
      const accepted = async (): Promise<Published> => {
        const changed = await askHook(
          () => onPublish({ channel: name, data, eventId, clientId, principal }),
          { name: 'onPublish', refused: `You may not publish this to channel "${name}".`, clock, report },
        );
        return publish(name, { data: changed.data === undefined ? data : changed.data, source, eventId });
      };
      if (clientId === null) return accepted();
      return inTurn(JSON.stringify([name, principal.user, clientId]), accepted);
    },

    async list({ after = '', limit = MAX_NAMES, mayRead }) {
      const most = Math.min(limit, MAX_NAMES);
      const prefix = keyOf.channel('');
      const names: string[] = [];
      for (let last = prefix + after; ; ) {
        const stored = await records.list(prefix, { after: last, limit: MAX_NAMES });
        for (const { key } of stored) {
          last = key;
          const name = key.slice(prefix.length);
          if (!mayRead(name)) continue;
          if (names.length === most) return { names, more: true };
          names.push(name);
        }
        if (stored.length < MAX_NAMES) return { names, more: false };
      }
    },

    async history(name, query = {}) {
      const log = logOf.channel(name);
      for (let tries = 0; tries < TRIES; tries++) {
        const [head] = await logs.heads([log]);
        if (!head) return emptyPage(query);
        const { after, recovered } = startOf(query, head);
        const limit = { entries: limitOf(query), bytes: PAGE_BYTES };
        const page = await logs.read(log, { epoch: head.epoch, offset: after }, limit);
        if (page.kind === 'reset') continue; // trimmed between the two
        const filling = createFilling<StoredMessage>();
        const cut = page.entries.some((entry) => !filling.add(storedMessage(entry, name)));
        return {
          messages: filling.items,
          cursor: filling.items.at(-1)?.sequence ?? after,
          more: cut || page.more,
          epoch: head.epoch,
          oldest_cursor: head.oldest,
          recovered,
        };
      }
      throw new WireError(
        'unavailable',
        'The channel changes faster than it can be read just now. Try again.',
      );
    },

    close: upkeep.close,
  };
}
