import type { Hono } from 'hono';
import type { Authenticate } from './auth/authenticate.ts';
import { createPollTokens } from './auth/poll-token.ts';
import { createChannels } from './core/channels.ts';
import { type Consumers, createConsumers } from './core/consumers.ts';
import { createDeadLetters } from './core/dead-letters.ts';
import { createFeeds, type Feeds } from './core/feed.ts';
import { createJournal, type Journal, type Retention, type RetentionLimits } from './core/log.ts';
import { createMembers, type Members } from './core/members.ts';
import { sourceOf } from './core/message.ts';
import { type LogName, parseConsumer, parseLog } from './core/names.ts';
import { createNotices, NOTICES } from './core/notices.ts';
import { createTails, type Tails } from './core/tail.ts';
import { createPollDoor } from './doors/poll.ts';
import { createPushDoor } from './doors/push.ts';
import type { SocketProtocol } from './doors/socket.ts';
import type { Tally } from './observe/tally.ts';
import type { Clock, OpenStream, Random, Report, Store } from './ports.ts';
import type { PushSettings } from './push-options.ts';
import { createServerChannels, type ServerChannels } from './server-channels.ts';
import { createServerPresence, type ServerPresence } from './server-presence.ts';
import { createMemoryStore } from './stores/memory.ts';

/** Where logs are kept, and how they are read: one of each for a store. */
export interface Ground {
  readonly store: Store;
  readonly journal: Journal;
  readonly tails: Tails;
  readonly feeds: Feeds;
}

export interface GroundOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly report: Report;
  readonly tally: Tally;
  retentionOf(name: LogName): Retention;
}

export function createGround({ store, clock, report, tally, retentionOf }: GroundOptions): Ground {
  const { logs, bus } = store;
  const journal = tally.around(
    createJournal({ logs, bus, clock, report, retentionOf: (log) => retentionOf(parseLog(log)) }),
  );
  const tails = createTails({ logs, bus, clock, report });
  return { store, journal, tails, feeds: createFeeds({ tails, logs, clock, report }) };
}

export interface CreatePushOptions {
  readonly settings: PushSettings;
  /** The gateway's, which is door 2's too unless it has a store of its own. */
  readonly ground: Ground;
  readonly retention: RetentionLimits | undefined;
  readonly authenticate: Authenticate;
  /** Changes with the credentials that are good here. */
  readonly fingerprint: string;
  readonly openStream: OpenStream;
  readonly clock: Clock;
  readonly random: Random;
  readonly report: Report;
  readonly tally: Tally;
}

/** Door 2 whole. */
export interface Push {
  readonly enabled: boolean;
  readonly protocol: SocketProtocol<unknown>;
  readonly routes: Hono;
  readonly channels: ServerChannels;
  readonly presence: ServerPresence;
  /** Of its logs; `undefined` for those of others. */
  retentionOf(name: LogName): Retention | undefined;
  /** Answers every parked poll, and ends every stream. */
  endPolls(): void;
  /** After the last request and socket. */
  close(): Promise<void>;
}

export function createPush(options: CreatePushOptions): Push {
  const { settings, authenticate, fingerprint, openStream, clock, random, report, tally } = options;
  const { enabled, delivery, presence, polling, hooks } = settings;

  const retentionOf: Push['retentionOf'] = (name) => {
    switch (name.kind) {
      case 'channel':
      case 'dead':
        return channels.retentionOf(name.name);
      case 'lobby':
      case 'presence':
        return members?.retention[name.kind];
      case 'notices':
        return NOTICES.retention;
      default:
        return undefined;
    }
  };

  function ownGround(): Ground {
    const store = createMemoryStore({ clock, random });
    return createGround({
      store,
      clock,
      report,
      tally,
      retentionOf(name) {
        const retention = retentionOf(name);
        if (!retention) throw new Error(`door 2 has no log of the kind ${name.kind}`);
        return retention;
      },
    });
  }
  const own = enabled && settings.store === 'memory' ? ownGround() : null;
  const { store, journal, tails, feeds } = own ?? options.ground;
  const { logs, records } = store;

  const channels = createChannels({
    logs,
    records,
    journal,
    clock,
    random,
    report,
    watchers: tails.watchers,
    base: { ...options.retention, delivery: delivery.enabled, presence: presence.enabled },
    patterns: settings.channels,
    hooks,
  });
  const members: Members | null = presence.enabled
    ? createMembers({ logs, records, journal, feeds, clock, random, report, sourceOf, terms: presence })
    : null;
  const notices = createNotices({
    logs,
    journal,
    feeds,
    random,
    report,
    onTold: (notice) => consumers.told(notice),
  });
  const deadLetters = createDeadLetters({
    logs,
    journal,
    clock,
    random,
    report,
    reopen: (key, log, at) => consumers.reopen(key, log, at),
    onBuried: tally.deadLetter,
  });
  const consumers: Consumers = createConsumers({
    logs,
    records,
    clock,
    random,
    report,
    notices,
    maxInFlight: delivery.maxInFlight,
    ttlMs: delivery.messageTtlMs,
    retry: delivery,
    async bury({ key, entry, reason, attempts, at }) {
      const { owner, clientId, channel } = parseConsumer(key);
      await deadLetters.bury({
        channel,
        entry,
        owner,
        clientId,
        consumerKey: key,
        attempts,
        reason,
        handedAt: at,
      });
    },
    onRedelivered: tally.redelivery,
  });

  const shared = { channels, consumers, feeds, members, random, report, enabled };
  const poll = createPollDoor({
    ...shared,
    records,
    tokens: createPollTokens({ records, clock, fingerprint }),
    authenticate,
    openStream,
    clock,
    polling,
    onError: tally.error,
  });

  return {
    enabled,
    protocol: createPushDoor({ ...shared, tails, deadLetters }),
    routes: poll.routes,
    channels: createServerChannels({ channels, deadLetters, enabled }),
    presence: createServerPresence({ members, enabled }),
    retentionOf,
    endPolls: poll.close,
    async close() {
      notices.close();
      channels.close();
      await members?.close();
      if (!own) return;
      own.tails.close();
      own.journal.close();
      await own.store.close();
    },
  };
}
