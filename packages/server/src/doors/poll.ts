import {
  decodeVectorCursor,
  type ErrorCode,
  encodeVectorCursor,
  PollAck,
  PollMessages,
  PollRegister,
  PollSubscribe,
  type Reset,
  type VectorCursor,
  WireError,
} from '@continuo/protocol';
import { Hono } from 'hono';
import type { Authenticate } from '../auth/authenticate.ts';
import type { PollIdentity, PollTokens } from '../auth/poll-token.ts';
import { demand } from '../core/access.ts';
import type { Attachment } from '../core/attachment.ts';
import type { Channels } from '../core/channels.ts';
import type { Consumers } from '../core/consumers.ts';
import type { Feed, Feeds } from '../core/feed.ts';
import { keyOf, logOf } from '../core/names.ts';
import type { Clock, Peer, Random, Records, Report, Wire } from '../ports.ts';
import { channelDialects, sourceOf } from './dialects.ts';
import { credentialOf, parseBody, readBody, statusOf } from './http.ts';
import { resetFrame } from './push.ts';
import { toWireError } from './socket.ts';

/** Door 2 without a socket: long-polling. Any server may answer any request; a poll is a socket that lives for one answer. */

const LONG_POLL_MS = 30_000;
const MAX_BATCH = 100;
/** How long beyond its time a poll may take to look at what is there, in ms. */
const LOOK_MS = 5_000;
/** How long a poller's subscriptions are kept after its last request, in ms. */
const KEEP_MS = 24 * 3_600_000;

export interface PollDoorOptions {
  readonly channels: Channels;
  readonly consumers: Consumers;
  readonly feeds: Feeds;
  readonly records: Records;
  readonly tokens: PollTokens;
  readonly authenticate: Authenticate;
  readonly clock: Clock;
  readonly random: Random;
  readonly report: Report;
  readonly enabled: boolean;
  /** Called for every error that a client is told. */
  readonly onError?: (code: ErrorCode) => void;
}

export interface PollDoor {
  readonly routes: Hono;
  /** Answers every parked poll. */
  close(): void;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The frames of a poll's answer, as elements of a JSON array. */
const POLL_WIRE: Wire = {
  name: 'poll',
  frame: (text) => encoder.encode(text),
  join(frames) {
    const whole = new Uint8Array(frames.reduce((sum, frame) => sum + frame.byteLength + 1, -1));
    let at = 0;
    for (const frame of frames) {
      if (at > 0) whole[at++] = 0x2c; // a comma
      whole.set(frame, at);
      at += frame.byteLength;
    }
    return whole;
  },
};

/** Where a cursor says which reset of a log its owner was told of: answers get lost, and a reset must not. */
function resetKeyOf(log: string): string {
  return `reset:${log}`;
}

function batchOf(frames: readonly Uint8Array[], cursor: VectorCursor): string {
  const messages = frames.map((frame) => decoder.decode(frame)).join(',');
  return `{"messages":[${messages}],"poll_interval_hint":0,"cursor":${JSON.stringify(encodeVectorCursor(cursor))}}`;
}

export function createPollDoor(options: PollDoorOptions): PollDoor {
  const { channels, consumers, feeds, records, tokens, authenticate, clock, random, report, enabled } =
    options;
  /** The parked poll of each client. */
  const parked = new Map<string, () => void>();
  const routes = new Hono();

  function pollKeyOf({ principal, clientId }: PollIdentity): string {
    return keyOf.poll(principal.user, clientId);
  }

  async function subscribedOf(
    identity: PollIdentity,
  ): Promise<{ names: readonly string[]; version: number }> {
    const stored = await records.get(pollKeyOf(identity));
    return { names: (stored?.value as readonly string[] | undefined) ?? [], version: stored?.version ?? 0 };
  }

  /** Waits for messages on all the client's channels and takes what is there, at most a batch. */
  async function poll(
    identity: PollIdentity,
    received: VectorCursor,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<string> {
    const { principal, clientId } = identity;
    const pollKey = pollKeyOf(identity);
    parked.get(pollKey)?.();
    const { names, version } = await subscribedOf(identity);
    // Who polls is there: what it subscribed to is kept.
    if (version > 0)
      await records.put(pollKey, names, { ifVersion: version, expiresAt: clock.now() + KEEP_MS });
    const cursor = new Map(received);
    const frames: Uint8Array[] = [];
    let count = 0;
    let isFinished = signal.aborted;
    let over = false;
    let finish = (): void => {};
    const finished = new Promise<void>((resolve) => {
      finish = () => {
        isFinished = true;
        resolve();
      };
    });
    const peer: Peer = {
      id: pollKey,
      wire: POLL_WIRE,
      bufferedBytes: 0,
      send(frame) {
        if (over) return;
        frames.push(frame);
        clock.soon(finish); // with whatever else comes in this tick
      },
      onceDrained() {},
      close: () => finish(),
    };
    const subscriptions: { channel: string; feed: Feed; attachment: Attachment }[] = [];

    async function watch(channel: string): Promise<void> {
      const log = logOf.channel(channel);
      const head = await channels.open(channel);
      if (isFinished) return; // its client has gone, or polls anew: nothing is taken from whoever has the consumer now
      const attachment = await consumers.attach({
        key: keyOf.consumer(principal.user, clientId, channel),
        log,
        head,
        received: received.get(log),
        seenReset: received.get(resetKeyOf(log)),
        onTakenOver: finish,
      });
      const tellReset = (reset: Reset): void => {
        peer.send(POLL_WIRE.frame(JSON.stringify(resetFrame(channel, reset))));
        cursor.set(resetKeyOf(log), reset.to);
      };
      if (attachment.reset) tellReset(attachment.reset);
      const { first, again } = channelDialects(POLL_WIRE);
      const feed = feeds.open({
        log,
        head,
        after: attachment.after,
        peer,
        dialect: first,
        replay: { until: attachment.until, dialect: again },
        withoutSource: sourceOf(principal.user, clientId),
        skip: attachment.skip,
        room: () => (over ? 0 : Math.min(attachment.room(), MAX_BATCH - count)),
        onMoved(sent, from, to) {
          count += sent.length;
          attachment.onMoved(sent, from, to);
        },
        onReset(reset) {
          attachment.onReset(reset);
          tellReset(reset);
          return reset.to;
        },
      });
      subscriptions.push({ channel, feed, attachment });
    }

    parked.set(pollKey, finish);
    const deadline = clock.now() + timeoutMs;
    let stopTimer = (): void => {};
    /** However short it may wait: every channel is looked at once. */
    const expire = (): void => {
      const looked = subscriptions.length === names.length && subscriptions.every(({ feed }) => feed.live);
      if (looked || clock.now() >= deadline + LOOK_MS) finish();
      else stopTimer = clock.schedule(clock.now() + 10, expire);
    };
    stopTimer = clock.schedule(deadline, expire);
    signal.addEventListener('abort', finish, { once: true });
    let held: readonly boolean[] = [];
    try {
      const watched = await Promise.allSettled(names.map(watch));
      const failed = watched.find((each) => each.status === 'rejected');
      if (failed) throw failed.reason;
      if (!isFinished) await finished;
    } finally {
      over = true;
      stopTimer();
      signal.removeEventListener('abort', finish);
      if (parked.get(pollKey) === finish) parked.delete(pollKey);
      for (const { feed } of subscriptions) feed.close();
      held = await Promise.all(subscriptions.map(({ attachment }) => attachment.detach()));
    }
    // A newer poll took over: it delivers what this one may not.
    if (held.length < names.length || held.includes(false)) return batchOf([], received);
    for (const { channel, feed } of subscriptions) cursor.set(logOf.channel(channel), feed.position);
    return batchOf(frames, cursor);
  }

  /** Makes the consumer, so that nothing published between the subscription and the first poll is missed. */
  async function begin({ principal, clientId }: PollIdentity, channel: string): Promise<void> {
    const key = keyOf.consumer(principal.user, clientId, channel);
    if (await records.get(key)) return;
    const head = await channels.open(channel);
    const log = logOf.channel(channel);
    const attachment = await consumers.attach({ key, log, head });
    await attachment.detach();
  }

  routes.use(async (_c, next) => {
    if (!enabled)
      throw new WireError('push_disabled', 'Channels are switched off here. Start the gateway with --push.');
    await next();
  });

  routes.post('/register', async (c) => {
    const { client_id, auth_token } = parseBody(PollRegister, await readBody(c), 'bad_request');
    const principal = await authenticate(auth_token ?? credentialOf(c));
    const clientId = client_id ?? `cli_${random.id()}`;
    return c.json({ client_id: clientId, poll_token: await tokens.sign({ principal, clientId }) });
  });

  routes.post('/subscribe', async (c) => {
    const { poll_token, channel } = parseBody(PollSubscribe, await readBody(c), 'bad_request');
    const identity = await tokens.verify(poll_token);
    demand(identity.principal, 'read', 'channels', channel);
    await begin(identity, channel);
    for (let stored = false; !stored; ) {
      const { names, version } = await subscribedOf(identity);
      const all = names.includes(channel) ? names : [...names, channel];
      const until = { ifVersion: version, expiresAt: clock.now() + KEEP_MS };
      stored = (await records.put(pollKeyOf(identity), all, until)) !== null;
    }
    parked.get(pollKeyOf(identity))?.(); // the next poll has it
    return c.json({ ok: true, channel });
  });

  routes.post('/messages', async (c) => {
    const { poll_token, timeout, cursor } = parseBody(PollMessages, await readBody(c), 'bad_request');
    const identity = await tokens.verify(poll_token);
    const received = decodeVectorCursor(cursor ?? '');
    if (!received) throw new WireError('bad_request', '"cursor" is not one that this gateway made.');
    const timeoutMs = Math.min((timeout ?? LONG_POLL_MS / 1000) * 1000, LONG_POLL_MS);
    const body = await poll(identity, received, timeoutMs, c.req.raw.signal);
    return c.body(body, 200, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  });

  routes.post('/ack', async (c) => {
    const { poll_token, event_id, channel } = parseBody(PollAck, await readBody(c), 'bad_request');
    const identity = await tokens.verify(poll_token);
    const { principal, clientId } = identity;
    const names = channel === undefined ? (await subscribedOf(identity)).names : [channel];
    for (const name of names) {
      const key = keyOf.consumer(principal.user, clientId, name);
      if (await consumers.ack(key, logOf.channel(name), event_id)) return c.json({ ok: true });
    }
    return c.json({ ok: false });
  });

  routes.onError((error, c) => {
    const { code, message } = toWireError(error, report);
    options.onError?.(code);
    return c.json({ error: { code, message } }, statusOf(code) as 400);
  });

  return {
    routes,
    close() {
      for (const finish of [...parked.values()]) finish();
    },
  };
}
