import {
  type ErrorCode,
  encodeVectorCursor,
  PollAck,
  PollDeregister,
  PollHeartbeat,
  PollMessages,
  PollPresenceQuery,
  PollPublish,
  PollRegister,
  PollSubscribe,
  PollUnsubscribe,
  type VectorCursor,
  WireError,
} from '@continuo/protocol';
import { type Context, Hono } from 'hono';
import type { Authenticate } from '../auth/authenticate.ts';
import type { PollIdentity, PollTokens } from '../auth/poll-token.ts';
import type { Channels } from '../core/channels.ts';
import type { Consumers } from '../core/consumers.ts';
import type { Feeds } from '../core/feed.ts';
import type { Members } from '../core/members.ts';
import { keyOf, logOf } from '../core/names.ts';
import type { Clock, OpenStream, Peer, Random, Records, Report, Wire } from '../ports.ts';
import { createChannelPost } from './channel-post.ts';
import { credentialOf, parseBody, positionsOf, readBody, statusOf } from './http.ts';
import { createMailboxes } from './mailbox.ts';
import { askerOf, createPollClients } from './poll-clients.ts';
import { keyOfPoller } from './pollers.ts';
import { demandPresence, listPresence, membersOf } from './presence-rows.ts';
import { createPushStreams } from './push-sse.ts';
import { toWireError } from './socket.ts';

/** Door 2 without a socket: long-polling. Any server may answer any request; a poll is a mailbox that lives for one answer. */

/** How long beyond its time a poll may take to look at what is there, in ms. */
const LOOK_MS = 5_000;
const DISABLED = 'Channels are switched off here. Start the gateway with --push.';
const POLLING_DISABLED = 'Polling is switched off here. Use the WebSocket at /ws.';

export interface PollDoorOptions {
  readonly channels: Channels;
  readonly consumers: Consumers;
  readonly feeds: Feeds;
  readonly records: Records;
  readonly tokens: PollTokens;
  readonly authenticate: Authenticate;
  readonly openStream: OpenStream;
  readonly clock: Clock;
  readonly random: Random;
  readonly report: Report;
  readonly enabled: boolean;
  readonly polling: PollingTerms;
  /** `null` where presence is off. */
  readonly members: Members | null;
  /** Called for every error that a client is told. */
  readonly onError?: (code: ErrorCode) => void;
}

/** For clients without a socket: polls, and streams. */
export interface PollingTerms {
  readonly enabled: boolean;
  /** How long a poll may wait, in ms. */
  readonly longPollTimeoutMs: number;
  /** Messages of one answer. */
  readonly maxBatchSize: number;
}

export interface PollDoor {
  /** Everything of door 2 that is no socket: `/api/push/*` and `/api/channels/*`. */
  readonly routes: Hono;
  /** Answers every parked poll, and ends every stream. */
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

function batchOf(frames: readonly Uint8Array[], cursor: VectorCursor, takenOver = false): string {
  const messages = frames.map((frame) => decoder.decode(frame)).join(',');
  const lost = takenOver ? ',"taken_over":true' : '';
  return `{"messages":[${messages}],"poll_interval_hint":0,"cursor":${JSON.stringify(encodeVectorCursor(cursor))}${lost}}`;
}

export function createPollDoor(options: PollDoorOptions): PollDoor {
  const { channels, consumers, tokens, authenticate, clock, random, report, enabled, polling, members } =
    options;
  const { longPollTimeoutMs, maxBatchSize } = polling;
  const mailboxes = createMailboxes(options);
  const clients = createPollClients({ ...options, onChanged: mailboxes.look });
  const push = new Hono();

  /** Waits for messages on all the client's channels and takes what is there, at most a batch. */
  async function take(
    identity: PollIdentity,
    received: VectorCursor,
    timing: { readonly timeoutMs: number; readonly signal: AbortSignal },
  ): Promise<string> {
    const { timeoutMs, signal } = timing;
    const { principal, clientId } = identity;
    const frames: Uint8Array[] = [];
    let count = 0;
    let over = false;
    let takenOver = false;
    const { promise: finished, resolve: finish, reject: fail } = Promise.withResolvers<void>();
    finished.catch(() => {}); // whoever waits is told
    const peer: Peer = {
      id: clientId,
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
    const deadline = Math.min(clock.now() + timeoutMs, principal.expiresAt ?? Number.POSITIVE_INFINITY);
    const mailbox = mailboxes.open({
      key: keyOfPoller(identity),
      reader: identity.reader,
      principal,
      clientId,
      subscriptions: () => clients.subscriptions(identity),
      received,
      peer,
      room: () => maxBatchSize - count,
      onSent(messages) {
        count += messages;
      },
      onLooked: expire,
      arrive: (channel, to) => clients.arrive(identity, channel, to),
      onOver(why) {
        takenOver = why === 'taken_over';
        if (typeof why === 'string') finish();
        else fail(why.error);
      },
    });
    /** However short it may wait: every channel is looked at once. */
    function expire(): void {
      if (clock.now() >= deadline && mailbox.looked) finish();
    }
    let stopTimer = clock.schedule(deadline, () => {
      stopTimer = clock.schedule(deadline + LOOK_MS, finish);
      expire();
    });
    signal.addEventListener('abort', () => finish(), { once: true });
    if (signal.aborted) finish();
    const release = clients.presenceOf(identity)?.hold();
    let cursor = received;
    let held = false;
    try {
      await finished;
    } finally {
      over = true;
      stopTimer();
      release?.();
      ({ cursor } = mailbox);
      held = await mailbox.close();
    }
    // A newer reader took over: it delivers what this one may not.
    return held ? batchOf(frames, cursor, takenOver) : batchOf([], received, true);
  }

  push.use(async (_c, next) => {
    if (!enabled || !polling.enabled)
      throw new WireError('push_disabled', enabled ? POLLING_DISABLED : DISABLED);
    await next();
  });

  push.post('/poll/register', async (c) => {
    const { client_id, auth_token } = parseBody(PollRegister, await readBody(c), 'bad_request');
    const principal = await authenticate(auth_token ?? credentialOf(c));
    const identity = await clients.register(principal, client_id ?? `cli_${random.id()}`);
    return c.json({ client_id: identity.clientId, poll_token: await tokens.sign(identity) });
  });

  push.post('/poll/messages', async (c) => {
    const { poll_token, timeout, cursor } = parseBody(PollMessages, await readBody(c), 'bad_request');
    const identity = await clients.identify(poll_token);
    const received = positionsOf(cursor);
    const timeoutMs = Math.min((timeout ?? Number.POSITIVE_INFINITY) * 1000, longPollTimeoutMs);
    const body = await take(identity, received, { timeoutMs, signal: c.req.raw.signal });
    return c.body(body, 200, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  });

  /** The consumer that has the message: the named one's, else the first that it waits with. */
  async function settle(
    c: Context,
    act: (key: string, log: string, eventId: string) => Promise<boolean>,
  ): Promise<Response> {
    const { poll_token, event_id, channel } = parseBody(PollAck, await readBody(c), 'bad_request');
    const identity = await clients.identify(poll_token);
    const names =
      channel === undefined
        ? (await clients.subscriptions(identity))
            .filter(({ delivery }) => delivery)
            .map((each) => each.channel)
        : [channel];
    for (const name of names) {
      const key = keyOf.consumer(identity.principal.user, identity.clientId, name);
      if (await act(key, logOf.channel(name), event_id)) return c.json({ ok: true });
    }
    return c.json({ ok: false });
  }
  push.post('/poll/ack', (c) => settle(c, consumers.ack));
  push.post('/poll/nack', (c) => settle(c, consumers.nack));

  push.post('/poll/subscribe', async (c) => {
    const { poll_token, channel, ...wish } = parseBody(PollSubscribe, await readBody(c), 'bad_request');
    const { offset, epoch } = await clients.subscribe(await clients.identify(poll_token), channel, wish);
    const isPlain = Object.keys(wish).length === 0;
    return c.json(isPlain ? { ok: true, channel } : { ok: true, channel, cursor: offset, epoch });
  });

  push.post('/poll/unsubscribe', async (c) => {
    const { poll_token, channel } = parseBody(PollUnsubscribe, await readBody(c), 'bad_request');
    const ok = await clients.unsubscribe(await clients.identify(poll_token), channel);
    return c.json({ ok, channel });
  });

  push.post('/poll/publish', async (c) => {
    const { poll_token, channel, data, event_id } = parseBody(PollPublish, await readBody(c), 'bad_request');
    const asker = askerOf(await clients.identify(poll_token));
    const { sequence } = await channels.accept(asker, channel, { data, eventId: event_id });
    return c.json({ ok: true, sequence });
  });

  push.get('/poll/presence', async (c) => {
    const { channel, ...query } = c.req.query();
    const asked = parseBody(PollPresenceQuery, channel ? { ...query, channel } : query, 'bad_request');
    const { principal } = await clients.identify(asked.poll_token);
    const listed = await listPresence(membersOf(members), principal, asked.channel ?? null);
    return c.json({ presence: listed.presence });
  });

  push.post('/poll/heartbeat', async (c) => {
    const { poll_token, ...change } = parseBody(PollHeartbeat, await readBody(c), 'bad_request');
    const identity = await clients.identify(poll_token);
    membersOf(members); // or it is told that there are none
    demandPresence(identity.principal);
    await clients.presenceOf(identity)?.beat(change);
    return c.json({ ok: true });
  });

  push.post('/poll/deregister', async (c) => {
    const { poll_token } = parseBody(PollDeregister, await readBody(c), 'bad_request');
    await clients.deregister(await clients.identify(poll_token));
    return c.json({ ok: true });
  });

  const streams = createPushStreams({ ...options, clients, mailboxes });
  push.get('/sse', streams.open);

  const routes = new Hono();
  routes.use('/api/channels/*', async (_c, next) => {
    if (!enabled) throw new WireError('push_disabled', DISABLED);
    await next();
  });
  routes.onError((error, c) => {
    const { code, message } = toWireError(error, report);
    options.onError?.(code);
    return c.json({ error: { code, message } }, statusOf(code) as 400);
  });
  routes.route('/api/push', push);
  routes.route('/', createChannelPost({ channels, authenticate }));
  return { routes, close: mailboxes.close };
}
