import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createSeededRandom } from '@continuo/testing';
import { joinAs, type Member, type Roll, STATUSES } from './member.ts';
import { type ServerProcess, startServer } from './server-process.ts';

const CHANNEL = 'room';
/** Who connects or asks at once. */
const AT_ONCE = 25;
/** Within this time after the last one came nobody is shown who has gone, however it went. */
const NO_GHOST_MS = 20_000;
/** One client in so many gets its changes one by one. */
const SINGLE = 20;
const PAUSE_MS = 300;
/** How often all folds are looked at, in ms. */
const LOOK_MS = 500;

export interface WavesReport {
  readonly seed: number;
  /** Members at the end, and how often one came and went before. */
  readonly members: number;
  readonly comings: number;
  readonly goings: number;
  /** Members of the server that was killed: those that came back, and those that did not. */
  readonly returned: number;
  readonly lost: number;
  /** From the kill until every member's fold is right, in ms. */
  readonly settledMs: number;
}

export interface WavesOptions {
  readonly clients: number;
  readonly waves: number;
  readonly seed: number;
}

/**
 * Clients of two servers on one file come to one channel and go, some without a word; at last one server is killed.
 * Rejects when a member's fold or a member's snapshot is not what it must be 20 s after the last
 * one came back.
 */
export async function presenceWaves({ clients, waves, seed }: WavesOptions): Promise<WavesReport> {
  const random = createSeededRandom(seed);
  const folder = mkdtempSync(join(tmpdir(), 'continuo-waves-'));
  const config = join(folder, 'continuo.config.mjs');
  writeFileSync(config, "export default { limits: 'off' };");
  const start = (): Promise<ServerProcess> =>
    startServer({ store: `sqlite:${join(folder, 'store.db')}`, args: ['--config', config] });
  const [stays, dies] = [await start(), await start()];
  const present = new Map<number, { readonly member: Member; readonly server: ServerProcess }>();
  const expected: Roll = new Uint8Array(clients);
  /** A status sticks while its client is away. */
  const said: Roll = new Uint8Array(clients).fill(STATUSES.indexOf('online'));
  let comings = 0;
  let goings = 0;

  async function come(number: number, server: ServerProcess): Promise<void> {
    const isBatched = number % SINGLE !== 0;
    const member = await joinAs({ port: server.port, number, of: clients, channel: CHANNEL, isBatched });
    present.set(number, { member, server });
    expected[number] = said[number] ?? 1;
    comings++;
  }

  function go(number: number): void {
    const going = present.get(number);
    present.delete(number);
    expected[number] = 0;
    goings++;
    if (random.int(0, 1) === 0) going?.member.leave();
    else going?.member.socket.cut();
  }

  function say(number: number): void {
    const status = random.int(1, STATUSES.length - 1);
    present.get(number)?.member.say(STATUSES[status] ?? '');
    said[number] = status;
    expected[number] = status;
  }

  const absent = (): readonly number[] =>
    Array.from({ length: clients }, (_, number) => number).filter((number) => !present.has(number));
  const one = (of: readonly number[], share: number): readonly number[] =>
    of.filter(() => random.int(1, 100) <= share);

  try {
    for (let wave = 0; wave < waves; wave++) {
      await each(one(absent(), wave === 0 ? 100 : 70), (number) =>
        come(number, random.int(0, 1) ? stays : dies),
      );
      for (const number of one([...present.keys()], 20)) say(number);
      await sleep(PAUSE_MS);
      for (const number of one([...present.keys()], 30)) go(number);
      await sleep(PAUSE_MS);
    }
    await each(absent(), (number) => come(number, random.int(0, 1) ? stays : dies));

    const orphans = [...present].filter(([, { server }]) => server === dies).map(([number]) => number);
    await dies.kill();
    const killedAt = Date.now();
    for (const number of orphans) {
      present.delete(number);
      expected[number] = 0;
    }
    const returning = one(orphans, 50);
    await each(returning, (number) => come(number, stays));
    const backAt = Date.now();

    const members = [...present.values()].map(({ member }) => member);
    const isRight = ({ statusOf }: Member): boolean =>
      expected.every((status, number) => statusOf(number) === status);
    let wrong: readonly Member[] = members;
    while (wrong.length > 0) {
      if (Date.now() - backAt > NO_GHOST_MS) throw new Error(`seed ${seed}: ${mistakesOf(wrong, expected)}`);
      await sleep(LOOK_MS);
      wrong = members.filter((member) => !isRight(member));
    }
    const settledMs = Date.now() - killedAt;
    await each(members, async (member) => {
      const differences = differencesOf(await member.query(), expected);
      if (differences.length > 0)
        throw new Error(`seed ${seed}: ${member.number} is shown ${differences.slice(0, 5).join('; ')}`);
    });
    if (stays.errors !== '') throw new Error(`the server said ${stays.errors.slice(0, 500)}`);
    const returned = returning.length;
    return {
      seed,
      members: members.length,
      comings,
      goings,
      returned,
      lost: orphans.length - returned,
      settledMs,
    };
  } finally {
    for (const { member } of present.values()) member.socket.cut();
    await Promise.all([stays.kill(), dies.kill()]);
    rmSync(folder, { recursive: true, force: true });
  }
}

function mistakesOf(wrong: readonly Member[], expected: Roll): string {
  const [first] = wrong;
  if (!first) return '';
  const shown = expected.map((_, number) => first.statusOf(number));
  const mistakes = differencesOf(shown, expected);
  return `${wrong.length} members are wrong; ${first.number} about ${mistakes.length}: ${mistakes.slice(0, 5).join('; ')}`;
}

function differencesOf(shown: Roll, expected: Roll): readonly string[] {
  const found: string[] = [];
  for (const [number, status] of expected.entries()) {
    if (shown[number] !== status)
      found.push(`member ${number} is "${STATUSES[shown[number] ?? 0]}", not "${STATUSES[status]}"`);
  }
  return found;
}

async function each<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  const take = async (): Promise<void> => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, take));
}
