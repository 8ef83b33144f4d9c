import type { Entry } from '@continuo/protocol';
import { createFakeClock, createSeededRandom, type FakeClock, type SeededRandom } from '@continuo/testing';
import { describe, expect, it } from 'vitest';
import { createLife, type Life } from '../../test/life.ts';
import type { Store } from '../ports.ts';
import { createMemoryStore } from '../stores/memory.ts';
import type { Attachment } from './attachment.ts';
import { type Consumers, createConsumers } from './consumers.ts';

const LOG = 'channel:a';
const KEY = 'consumer/me/device/a';
const OWN = 'me/device';
const MAX = 8;
const SEEDS = 900;
const STEPS = 80;

interface Server {
  readonly life: Life;
  readonly consumers: Consumers;
}

/** What the consumer's owner knows of it. */
interface Ledger {
  readonly handedOut: Set<string>;
  readonly acked: Set<string>;
  /** Whether these acks were stored, it may never have learnt. */
  readonly ackSent: Set<string>;
  /** Acked at another server than the one that hands out: that one may learn of it too late to stop, once. */
  readonly crossed: Set<string>;
  /** Given up, by id: how often. */
  readonly dead: Map<string, number>;
  /** Up to here, messages are gone, and it was told so. */
  lostUpTo: number;
}

/** Hands out what is due as a feed does: in order, as far as there is room, marked where it may have been before. */
class Hand {
  readonly attachment: Attachment;
  readonly #store: Store;
  readonly #ledger: Ledger;
  #position: { epoch: string; offset: number };

  constructor(attachment: Attachment, store: Store, ledger: Ledger) {
    this.attachment = attachment;
    this.#store = store;
    this.#ledger = ledger;
    this.#position = attachment.after;
    if (attachment.reset) ledger.lostUpTo = Math.max(ledger.lostUpTo, attachment.reset.to.offset);
  }

  async deliver(most: number): Promise<void> {
    const { attachment } = this;
    const page = await this.#store.logs.read(LOG, this.#position, { entries: most, bytes: 1 << 20 });
    if (page.kind === 'reset') {
      attachment.onReset(page.reset);
      this.#ledger.lostUpTo = Math.max(this.#ledger.lostUpTo, page.reset.to.offset);
      this.#position = page.reset.to;
      return;
    }
    const taken = page.entries.slice(0, attachment.room());
    const last = taken.at(-1);
    if (!last) return;
    const isOld = (entry: Entry): boolean => entry.offset <= attachment.until;
    const sent = taken.filter((entry) => entry.source !== OWN && !(isOld(entry) && attachment.skip(entry)));
    for (const entry of sent) {
      if (!this.#ledger.crossed.has(entry.id)) {
        expect(this.#ledger.acked, `${entry.id} was acked, and came again`).not.toContain(entry.id);
      }
      if (!isOld(entry)) {
        expect(this.#ledger.handedOut, `${entry.id} came again without a mark`).not.toContain(entry.id);
      }
      this.#ledger.handedOut.add(entry.id);
    }
    const from = this.#position.offset;
    this.#position = { epoch: last.epoch, offset: last.offset };
    attachment.onMoved(sent, from, last.offset);
  }
}

async function play(seed: number): Promise<void> {
  const random: SeededRandom = createSeededRandom(seed);
  const clock: FakeClock = createFakeClock();
  const store = createMemoryStore({ clock, random: random.fork() });
  const ledger: Ledger = {
    handedOut: new Set(),
    acked: new Set(),
    ackSent: new Set(),
    crossed: new Set(),
    dead: new Map(),
    lostUpTo: 0,
  };
  const deaths = new Set<string>();
  const problems: string[] = [];
  let hand: Hand | null = null;
  let handsOut: Server | null = null;

  function startServer(): Server {
    const life = createLife(clock, store);
    const consumers = createConsumers({
      ...life.store,
      clock: life.clock,
      random: random.fork(),
      maxInFlight: MAX,
      report: (problem) => void problems.push(problem),
      async bury({ entry, at, attempts }) {
        await life.store.logs.append('dead:a', []); // it takes a moment
        const death = `${entry.id} ${at}`;
        if (deaths.has(death)) return;
        deaths.add(death);
        expect(attempts, `${entry.id} was given up`).toBeGreaterThan(3);
        ledger.dead.set(entry.id, (ledger.dead.get(entry.id) ?? 0) + 1);
      },
    });
    return { life, consumers };
  }
  const servers = [startServer(), startServer()];
  const pickServer = (): Server => random.pick(servers) ?? startServer();

  async function publish(): Promise<void> {
    const { head } = await store.logs.append(LOG, []);
    const source = random.chance(0.2) ? OWN : 'me/other';
    await store.logs.append(LOG, [{ id: `e${head.offset + 1}`, type: 'message', data: null, source }]);
  }

  async function attach(): Promise<Hand> {
    const { head } = await store.logs.append(LOG, []);
    const since = { epoch: head.epoch, offset: 0 };
    handsOut = pickServer();
    ledger.crossed.clear();
    const server = handsOut;
    const attaching = server.consumers.attach({
      key: KEY,
      log: LOG,
      head,
      since,
      redeliver(entry) {
        if (!ledger.crossed.has(entry.id))
          expect(ledger.acked, `${entry.id} was acked, and came again`).not.toContain(entry.id);
        ledger.handedOut.add(entry.id);
        return random.chance(0.9);
      },
      onLost(lost) {
        ledger.lostUpTo = Math.max(ledger.lostUpTo, lost.to.offset);
      },
    });
    await clock.settle();
    return new Hand(await attaching, store, ledger);
  }

  async function ackOne(): Promise<void> {
    const id = random.pick([...ledger.handedOut].slice(-20));
    if (id === undefined) return;
    const server = pickServer();
    ledger.ackSent.add(id);
    const answered = server.consumers.ack(KEY, LOG, id).then((ok) => {
      if (!ok) return;
      ledger.acked.add(id);
      if (server !== handsOut) ledger.crossed.add(id);
    });
    answered.catch(() => {}); // its server may be gone
    if (random.chance(0.7)) await clock.settle();
  }

  async function nackOne(): Promise<void> {
    const id = random.pick([...ledger.handedOut].slice(-20));
    if (id === undefined) return;
    pickServer()
      .consumers.nack(KEY, LOG, id)
      .catch(() => {}); // its server may be gone
    if (random.chance(0.7)) await clock.settle();
  }

  /** What was given up is wanted again. */
  async function reopenOne(): Promise<void> {
    const id = random.pick([...ledger.dead.keys()]);
    const at = id === undefined ? null : await store.logs.find(LOG, id);
    if (id === undefined || !at || ledger.acked.has(id)) return;
    const asked = pickServer().consumers.reopen(KEY, LOG, at);
    asked.catch(() => {});
    await clock.settle();
    if (await asked) ledger.dead.delete(id);
  }

  function crash(): void {
    const index = random.int(0, servers.length - 1);
    servers[index]?.life.end();
    servers[index] = startServer();
    hand = null;
  }

  for (let step = 0; step < STEPS; step++) {
    const dice = random.next();
    if (dice < 0.3) await publish();
    else if (dice < 0.42) hand = await attach();
    else if (dice < 0.65) await hand?.deliver(random.int(1, 6));
    else if (dice < 0.76) await ackOne();
    else if (dice < 0.82) await nackOne();
    else if (dice < 0.84) await reopenOne();
    else if (dice < 0.86) await clock.advance(random.int(1, 120_000));
    else if (dice < 0.9) {
      hand?.attachment.detach().catch(() => {});
      hand = null;
    } else if (dice < 0.94) crash();
    else if (dice < 0.96) {
      const { head } = await store.logs.append(LOG, []);
      await store.logs.trim(LOG, random.int(1, head.offset + 1));
    } else await clock.settle();
  }
  await clock.settle();

  const last = await attach();
  const { head } = await store.logs.append(LOG, []);
  for (let rounds = 0; rounds < 200; rounds++) {
    await last.deliver(5);
    await clock.advance(rounds % 10 === 0 ? 600 : 0); // a peer that took nothing is tried again
    for (const id of ledger.handedOut) {
      if (ledger.acked.has(id) || !last.attachment.isInFlight(id)) continue;
      const acking = last.attachment.ack(id);
      await clock.settle();
      if (await acking) ledger.acked.add(id);
    }
  }
  const page = await store.logs.read(LOG, { offset: head.oldest - 1 }, { entries: 10_000, bytes: 1 << 30 });
  for (const { id, offset, source } of page.kind === 'page' ? page.entries : []) {
    if (source === OWN || offset <= ledger.lostUpTo || ledger.ackSent.has(id)) continue;
    if (ledger.dead.has(id)) continue;
    expect(ledger.acked, `${id} never came, and nobody told of it`).toContain(id);
  }
  expect(problems).toEqual([]);
}

describe('a consumer, whatever happens to its servers', () => {
  it(`P-3, P-5, P-6 gets all it has not acked, marked where it came before: seeds 1 to ${SEEDS}`, async () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      try {
        await play(seed);
      } catch (cause) {
        throw new Error(`seed ${seed}: ${String(cause)}`, { cause });
      }
    }
  });
});
