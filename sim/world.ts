import type { SocketLike } from '@continuo/client';
import { createMemoryStore } from '@continuo/server';
import {
  createFakeClock,
  createSeededRandom,
  dialLink,
  type NetworkFaults,
  NO_FAULTS,
} from '@continuo/testing';
import { AGENTS } from './agents.ts';
import { createLedger, createPollConsumer, createSocketConsumer } from './consumer.ts';
import { type Counters, createCounters, must } from './counters.ts';
import { createFaultyServer, type FaultyServer, type ServerFaults } from './faulty-server.ts';
import { createRunViewer } from './run-viewer.ts';
import { checkLogs, createTruth } from './truth.ts';
import { createViewer, type Viewer } from './viewer.ts';

/** The world of one seed: two servers on one store, their clients, and everything that can go wrong between them. */

/** Milliseconds in which everything goes wrong, and in which nothing does any more. */
const CHAOS_MS = 20_000;
/** Long enough for a client to notice that its half-open socket is dead, and for every lease to lapse. */
const CALM_MS = 45_000;
const PROBE_MS = 3_000;

const CALM_SERVER: ServerFaults = { storeMs: [0, 2], lostWake: 0, doubledWake: 0, lateWake: 0 };

export interface Outcome {
  readonly counters: Counters;
  /** What was broken, or `null`. */
  readonly violation: unknown;
}

interface Links {
  readonly server: FaultyServer;
  readonly cut: () => void;
}

export async function runWorld(seed: number): Promise<Outcome> {
  const counters = createCounters();
  const clock = createFakeClock();
  const random = createSeededRandom(seed);
  const truth = createTruth(createMemoryStore({ clock, random: random.fork() }), counters);
  let violation: unknown = null;
  const violated = (found: unknown): void => {
    violation ??= found;
  };
  let calm = false;
  let probing = false;

  const chaosServer: ServerFaults = {
    storeMs: [0, random.pick([1, 5, 20])],
    lostWake: random.pick([0, 0.1, 0.5]),
    doubledWake: 0.1,
    lateWake: random.pick([0, 0.2]),
  };
  const chaosNetwork: NetworkFaults = {
    latencyMs: [0, random.pick([2, 20, 100])],
    cut: random.pick([0.2, 0.7, 0.9]),
    cutWithinMs: random.pick([500, 3_000, 8_000]),
    halfOpen: random.pick([0, 0.2]),
    stall: random.pick([0, 0.3]),
    stallMs: 2_000,
  };
  const retention = {
    session: { maxEntries: random.pick([60, 1_000]) },
    channel: { maxEntries: random.pick([15, 1_000]) },
  };

  const servers: FaultyServer[] = [];
  const links: Links[] = [];
  const startServer = (): void => {
    servers.push(
      createFaultyServer({
        clock,
        random,
        store: truth.store,
        components: AGENTS,
        counters,
        retention,
        drainMs: random.pick([0, 500, 4_000]),
        faults: () => (calm ? CALM_SERVER : chaosServer),
        servers: () => servers,
        violated,
      }),
    );
  };
  startServer();
  startServer();

  const alive = (): FaultyServer | undefined =>
    random.pick(servers.filter((server) => server.alive && !server.draining));
  const after = (ms: number, run: () => void): void => void clock.schedule(clock.now() + ms, run);

  function dial(path: '/' | '/ws'): SocketLike {
    return dialLink({
      clock,
      random: random.fork(),
      faults: calm ? NO_FAULTS : chaosNetwork,
      onFault: (kind) =>
        counters[kind === 'cut' ? 'cuts' : kind === 'stall' ? 'stalls' : 'half-open sockets']++,
      accept(peer, { cut }) {
        const server = alive();
        if (!server) {
          counters['refused dials']++;
          return null;
        }
        links.push({ server, cut });
        let inbound: ReturnType<typeof server.gateway.sockets.open> | null = null;
        server.enter(() => {
          inbound = server.gateway.sockets.open(peer, {
            path,
            credential: undefined,
            pause() {},
            resume() {},
          });
        });
        return {
          receive: (text) => server.enter(() => inbound?.receive(text)),
          closed: () => server.enter(() => inbound?.closed()),
        };
      },
    });
  }

  /** A request to some server. Its answer may be lost on the way, whole or in the middle. True: its server is closing. */
  async function stream(path: string, body: object, onText: (text: string) => void): Promise<boolean> {
    const server = alive();
    if (!server) throw new Error('nobody listens');
    const abort = new AbortController();
    const cutAt = !calm && random.chance(chaosNetwork.cut) ? random.next() * chaosNetwork.cutWithinMs : null;
    const cut = new Promise<never>((_, reject) => {
      const lose = (): void => {
        abort.abort();
        reject(new Error('the connection was cut'));
      };
      links.push({ server, cut: lose });
      if (cutAt !== null) after(cutAt, lose);
    });
    cut.catch(() => {});
    const request = new Request(`http://127.0.0.1${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: abort.signal,
    });
    const response = await Promise.race([
      cut,
      new Promise<Response>((resolve, reject) => {
        server.enter(() => void Promise.resolve(server.gateway.fetch(request)).then(resolve, reject));
      }),
    ]);
    if (!response.ok) throw new Error(`status ${response.status}: ${await response.text()}`);
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const part = await Promise.race([cut, reader?.read() ?? { done: true, value: undefined }]);
      if (part.done) return server.draining;
      onText(part.value ?? '');
    }
  }

  async function post(path: string, body: object): Promise<Record<string, unknown>> {
    let text = '';
    await stream(`/api/push/poll/${path}`, body, (part) => {
      text += part;
    });
    if (!calm && random.chance(0.15)) {
      counters['poll answers lost']++;
      throw new Error('the answer was lost');
    }
    return JSON.parse(text) as Record<string, unknown>;
  }

  // Door 1: conversations, each with one or two viewers.
  const viewers: Viewer[] = [];
  const answers = new Map<string, boolean>();
  function addViewer(agentId: string): Viewer {
    const viewer = createViewer({
      clock,
      random: random.fork(),
      truth,
      counters,
      agentId,
      answers,
      maxLagMs: () => (probing ? 250 : null),
      dial: () => dial('/'),
      violated,
    });
    viewers.push(viewer);
    return viewer;
  }
  for (let index = random.int(1, 2); index > 0; index--) {
    const agentId = random.pick(['echo', 'talk', 'again', 'ask', 'ask-again'] as const);
    const first = addViewer(agentId);
    first.client.connect().catch(violated);
    for (let count = random.int(1, 4); count > 0; count--) {
      after(random.int(0, CHAOS_MS), () => first.send(`message ${random.int(1, 1_000)} of many`));
    }
    if (random.chance(0.4)) after(random.int(1_000, CHAOS_MS), () => first.abort());
    after(random.int(1_000, CHAOS_MS), () => {
      const sessionId = first.client.sessionId;
      if (sessionId === null) return;
      const second = addViewer(agentId);
      second.client.resume({ sessionId, cursor: 0 }).catch(violated);
      after(random.int(0, 5_000), () => second.send('and I say this'));
    });
  }

  // Door 2: one channel, subscribers on sockets and by polling, everyone publishes.
  const ledgers = ['a', 'b', 'p'].map((id) => createLedger('news', id, truth, counters));
  const push = { clock, counters, channel: 'news', violated };
  const consumers = ['a', 'b'].map((clientId, index) => {
    const ledger = ledgers[index];
    must(ledger !== undefined, 'a ledger for everyone');
    return createSocketConsumer({
      ...push,
      clientId,
      ledger,
      random: random.fork(),
      dial: () => dial('/ws'),
    });
  });
  const [, , pollLedger] = ledgers;
  must(pollLedger !== undefined, 'a ledger for everyone');
  const poller = createPollConsumer({
    ...push,
    clientId: 'p',
    ledger: pollLedger,
    random: random.fork(),
    post,
  });
  const publishers = random.pick([1, 2]);
  for (let count = random.int(5, 40); count > 0; count--) {
    after(random.int(0, CHAOS_MS), () => consumers[count % publishers]?.publish(`event-${count}`));
  }

  // Door 4: runs.
  const runs = Array.from({ length: random.int(1, 2) }, (_, index) =>
    createRunViewer({
      clock,
      random: random.fork(),
      truth,
      counters,
      path: `/agents/${random.pick(['echo', 'talk', 'again'] as const)}/runs`,
      message: `run ${index} ${random.int(1, 1_000)}`,
      stream,
      violated,
    }),
  );
  after(random.int(0, CHAOS_MS), () => {
    const body = { message: `left alone ${random.int(1, 1_000)}`, stream: true, background: false };
    stream('/agents/talk/runs', body, () => {}).catch(() => {}); // whether it is cut or not, the run must end
  });

  // What goes wrong with servers and logs.
  function cutLinks(server: FaultyServer): void {
    for (const link of links) if (link.server === server) link.cut();
  }
  function killOne(): void {
    const server = alive();
    if (!server || calm) return;
    counters['server deaths']++;
    server.kill();
    cutLinks(server);
    after(random.int(200, 4_000), startServer);
  }
  function closeOne(): void {
    const server = alive();
    if (!server || calm) return;
    counters.drains++;
    const exit = (): void => cutLinks(server);
    server.enter(() => void server.drain().then(exit, violated));
    after(random.int(200, 4_000), startServer);
  }
  function freezeOne(): void {
    const server = random.pick(servers.filter((each) => each.alive && !each.frozen));
    if (!server || calm) return;
    counters.freezes++;
    server.freeze();
    after(random.pick([800, 6_000, 9_000]), () => server.thaw());
  }
  for (let count = random.int(0, 3); count > 0; count--) after(random.int(0, CHAOS_MS), killOne);
  for (let count = random.int(0, 3); count > 0; count--) after(random.int(0, CHAOS_MS - 9_000), freezeOne);
  for (let count = random.int(0, 2); count > 0; count--) after(random.int(0, CHAOS_MS), closeOne);
  if (random.chance(0.1))
    after(random.int(1_000, CHAOS_MS), () => void truth.lose('channel:news').catch(violated));
  if (random.chance(0.1)) {
    after(random.int(1_000, CHAOS_MS), () => {
      const log = viewers[0]?.log;
      if (log) truth.lose(log).catch(violated);
    });
  }

  async function pass(ms: number): Promise<void> {
    const until = clock.now() + ms;
    while (violation === null && (await clock.step(until)));
  }

  function check(holds: () => void): void {
    try {
      holds();
    } catch (error) {
      violated(error);
    }
  }

  await pass(CHAOS_MS);
  calm = true;
  poller.behave();
  for (const consumer of consumers) consumer.behave();
  for (const viewer of viewers) viewer.behave();
  await pass(CALM_MS / 2);
  for (const consumer of consumers) consumer.reconnect();
  await pass(CALM_MS / 2);

  // Nothing is wrong any more: what is said now must arrive at once, by the wake alone.
  probing = true;
  for (let count = 0; count < 6; count++) {
    after(random.int(0, PROBE_MS - 1_000), () => random.pick(viewers)?.send('a probe of many words'));
    after(random.int(0, PROBE_MS - 1_000), () => random.pick(consumers)?.publish(`probe-${count}`));
  }
  await pass(PROBE_MS);
  probing = false;
  await pass(12_000);

  if (violation === null) {
    check(() => checkLogs(truth, counters));
    for (const viewer of viewers) check(() => viewer.checkComplete());
    for (const ledger of ledgers) check(() => ledger.checkComplete());
    for (const consumer of consumers)
      check(() => must(consumer.unconfirmed === 0, 'P-2: a publish was never confirmed'));
    for (const run of runs) check(() => run.checkComplete());
  }
  return { counters, violation };
}
