import type { SocketLike } from '@continuo/client';
import { type ChannelMessageFrame, type ChannelResetFrame, decodeVectorCursor } from '@continuo/protocol';
import type { FakeClock, SeededRandom } from '@continuo/testing';
import { type Counters, must } from './counters.ts';
import type { Truth } from './truth.ts';

/** Door 2 from outside: a subscriber that comes back under one client id, and what it must have been given in the end. */
export interface Ledger {
  /** It stands at a position, for the first time or again. */
  standsAt(at: { epoch: string; cursor: number }): void;
  message(frame: ChannelMessageFrame): void;
  reset(frame: ChannelResetFrame): void;
  /** It told the server that it is done with a message; whether that was stored, it may never learn. */
  ackSent(message: ChannelMessageFrame): void;
  acked(message: ChannelMessageFrame): void;
  checkComplete(): void;
}

export function createLedger(channel: string, ownId: string, truth: Truth, counters: Counters): Ledger {
  const log = `channel:${channel}`;
  /** An id may come again once its entry was trimmed, or its epoch is gone: it is then another message. */
  const nameOf = (id: string, sequence: number, epoch: string): string =>
    `${id} (${epoch.slice(0, 3)}:${sequence})`;
  const seen = new Set<string>();
  const ackSent = new Set<string>();
  /** By id and epoch alone: where an id was stored twice, the server cannot know which of the two was meant. */
  const ackedIds = new Set<string>();
  const acked = new Set<string>();
  let highest = 0;
  let epoch = '';
  let start: { epoch: string; cursor: number } | null = null;
  /** Messages up to here, of this epoch or of older ones, were reported as lost. */
  let excused: { epoch: string; offset: number } | null = null;

  return {
    standsAt(at) {
      start ??= at;
      epoch = at.epoch;
    },
    message({ event_id, sequence, attempt, _redelivered: again = false }) {
      const id = nameOf(event_id, sequence, epoch);
      counters['events checked']++;
      must(again === attempt > 1, `P-6: attempt ${attempt} of ${id} is ${again ? '' : 'not '}marked`);
      must(!seen.has(id) || again, `P-6: ${id} came twice to ${ownId} and was not marked`);
      must(!acked.has(id), `P-5: ${id} came to ${ownId} after its ack was stored`);
      if (again) counters.redeliveries++;
      else must(sequence > highest, `P-4: ${id} came to ${ownId} after ${highest}`);
      highest = Math.max(highest, sequence);
      seen.add(id);
    },
    reset(lost) {
      counters.resets++;
      excused = { epoch: lost.epoch, offset: lost.to };
      epoch = lost.epoch;
      if (lost.reason !== 'trimmed') highest = lost.to;
    },
    ackSent({ event_id, sequence }) {
      ackSent.add(nameOf(event_id, sequence, epoch));
      ackedIds.add(`${event_id} ${epoch}`);
    },
    acked({ event_id, sequence }) {
      counters['messages acked']++;
      acked.add(nameOf(event_id, sequence, epoch));
    },
    checkComplete() {
      if (!start) return;
      const epochs = truth.epochs(log);
      const all = epochs.flatMap((each) => [...truth.entries(log, each).values()]);
      const from = epochs.indexOf(excused?.epoch ?? start.epoch);
      for (const each of epochs.slice(Math.max(0, from))) {
        for (const entry of truth.entries(log, each).values()) {
          if (each === start.epoch && entry.offset <= start.cursor) continue;
          if (each === excused?.epoch && entry.offset <= excused.offset) continue;
          if (entry.source?.endsWith(`/${ownId}`)) continue;
          const id = nameOf(entry.id, entry.offset, entry.epoch);
          must(seen.has(id), `P-3: ${id} of ${channel} never reached ${ownId}`);
          const isTwice = all.filter((other) => other.id === entry.id).length > 1;
          must(
            ackSent.has(id) || (isTwice && ackedIds.has(`${entry.id} ${entry.epoch}`)),
            `P-5: ${id} was never acked by ${ownId} and did not come again`,
          );
        }
      }
    },
  };
}

/** A message that is nacked more often is given up: its retries are three. */
const MAX_NACKS = 2;

/** Counts by name. */
function createTally(): { add(name: string): number } {
  const counts = new Map<string, number>();
  return {
    add(name) {
      const count = (counts.get(name) ?? 0) + 1;
      counts.set(name, count);
      return count;
    },
  };
}

interface ClientDeps {
  readonly clock: FakeClock;
  readonly random: SeededRandom;
  readonly counters: Counters;
  readonly channel: string;
  readonly clientId: string;
  readonly violated: (error: unknown) => void;
}

export interface SocketConsumer {
  /** From now on it acks everything. */
  behave(): void;
  /** Drops its connection and comes back. */
  reconnect(): void;
  publish(eventId: string): void;
  /** Publishes that the server has not confirmed. */
  readonly unconfirmed: number;
}

/** A subscriber and publisher on `/ws`: acks late, sometimes not at all, and comes back. */
export function createSocketConsumer(
  deps: ClientDeps & { dial(): SocketLike; readonly ledger: Ledger },
): SocketConsumer {
  const { clock, random, channel, clientId, ledger, counters } = deps;
  const outbox = new Map<string, object>();
  const unacked = new Map<string, ChannelMessageFrame>();
  const nacks = createTally();
  let socket: SocketLike | null = null;
  let behaves = false;

  function connect(): void {
    const dialed = deps.dial();
    socket = dialed;
    const send = (frame: object): boolean => {
      if (socket !== dialed) return false;
      dialed.send(JSON.stringify(frame));
      return true;
    };
    dialed.onopen = () => {
      send({ type: 'auth', client_id: clientId });
      send({ type: 'channel.subscribe', channel });
      for (const frame of outbox.values()) send(frame);
    };
    dialed.onmessage = ({ data }) => {
      if (socket !== dialed) return;
      try {
        receive(JSON.parse(String(data)), send);
      } catch (error) {
        deps.violated(error);
      }
    };
    dialed.onclose = () => {
      if (socket !== dialed) return;
      socket = null;
      clock.schedule(clock.now() + random.int(100, 1_500), connect);
    };
  }

  function receive(
    frame: { readonly type: string } & Record<string, unknown>,
    send: (frame: object) => boolean,
  ): void {
    switch (frame.type) {
      case 'channel.subscribed':
        return ledger.standsAt({ epoch: String(frame.epoch), cursor: Number(frame.cursor) });
      case 'channel_message': {
        const message = frame as unknown as ChannelMessageFrame;
        ledger.message(message);
        if (!behaves && random.chance(0.2)) return; // never acked on this connection
        if (!behaves && random.chance(0.1) && nacks.add(message.event_id) <= MAX_NACKS) {
          counters['messages nacked']++;
          send({ type: 'message_nack', event_id: message.event_id, channel });
          return;
        }
        const ack = { type: 'message_ack', event_id: message.event_id, channel };
        clock.schedule(clock.now() + random.int(0, behaves ? 5 : 400), () => {
          if (!send(ack)) return;
          unacked.set(message.event_id, message);
          ledger.ackSent(message);
        });
        return;
      }
      case 'ack_received':
        return frame.ok === true ? stored(String(frame.event_id)) : undefined;
      case 'channel.reset':
        return ledger.reset(frame as unknown as ChannelResetFrame);
      case 'channel.published':
        return void outbox.delete(String(frame.event_id));
      case 'error':
        must(frame.code === 'unavailable', `P-1: ${clientId} was told ${JSON.stringify(frame)}`);
    }
  }

  function stored(eventId: string): void {
    const message = unacked.get(eventId);
    if (message) ledger.acked(message);
  }

  connect();
  return {
    behave() {
      behaves = true;
    },
    reconnect() {
      const old = socket;
      socket = null;
      old?.close();
      connect();
    },
    publish(eventId) {
      const frame = { type: 'channel.publish', channel, data: { n: eventId }, event_id: eventId };
      outbox.set(eventId, frame);
      socket?.send(JSON.stringify(frame));
    },
    get unconfirmed() {
      return outbox.size;
    },
  };
}

/** The position before the first message of a batch. */
function firstOf([first]: readonly (ChannelMessageFrame | ChannelResetFrame)[]): number | undefined {
  return first?.type === 'channel_message' ? first.sequence - 1 : undefined;
}

export interface PollConsumer {
  behave(): void;
}

/** A subscriber over long-polling: any server answers, and answers get lost. */
export function createPollConsumer(
  deps: ClientDeps & {
    readonly ledger: Ledger;
    /** Rejects when the request or its answer got lost. */
    post(path: string, body: object): Promise<Record<string, unknown>>;
  },
): PollConsumer {
  const { clock, random, channel, clientId, ledger, post } = deps;
  let behaves = false;
  let startOver = false;
  let token = '';
  let cursor = '';
  const sleep = (ms: number): Promise<void> =>
    new Promise((resolve) => void clock.schedule(clock.now() + ms, resolve));

  async function step(): Promise<void> {
    if (token === '') {
      const registered = await post('register', { client_id: clientId });
      const given = String(registered.poll_token);
      await post('subscribe', { poll_token: given, channel });
      token = given;
    }
    const anew = startOver;
    const batch = await post('messages', { poll_token: token, timeout: 10, cursor: anew ? '' : cursor });
    if (anew) startOver = false;
    const frames = (batch.messages as readonly (ChannelMessageFrame | ChannelResetFrame)[]).filter(
      ({ type }) => type === 'channel_message' || type === 'channel.reset', // who comes and goes is not looked at
    );
    const isFirst = cursor === '';
    cursor = String(batch.cursor);
    const at = decodeVectorCursor(cursor)?.get(`channel:${channel}`);
    if (isFirst && at) ledger.standsAt({ epoch: at.epoch, cursor: firstOf(frames) ?? at.offset });
    const toAck: ChannelMessageFrame[] = [];
    for (const frame of frames) {
      if (frame.type === 'channel.reset') {
        ledger.reset(frame);
        continue;
      }
      ledger.message(frame);
      if (behaves || random.chance(0.7)) toAck.push(frame);
    }
    for (const message of toAck) {
      ledger.ackSent(message);
      const { ok } = await post('ack', { poll_token: token, event_id: message.event_id, channel });
      if (ok === true) ledger.acked(message);
    }
  }

  async function loop(): Promise<void> {
    for (;;) {
      try {
        await step();
      } catch (error) {
        if ((error as Error).name === 'Violation') return deps.violated(error);
        await sleep(random.int(50, 500));
      }
    }
  }
  loop().catch(deps.violated);

  return {
    behave() {
      behaves = true;
      startOver = true; // what it has not acked is to come again
    },
  };
}
