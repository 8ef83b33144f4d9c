import { deepEqual, equal, notEqual, ok, rejects } from 'node:assert/strict';
import type { Draft, Entry } from '@continuo/protocol';
import type { Logs, LostPosition, Page, Store } from '@continuo/server/ports';
import { needsOther, type StoreCase, type StoreFixture } from './suite.ts';

const ALL = { entries: 100_000, bytes: 1 << 30 };

function draft(id: string, data: unknown = id): Draft {
  return { id, type: 'test', data };
}

function drafts(from: number, to: number): Draft[] {
  return Array.from({ length: to - from + 1 }, (_, index) => draft(`e${from + index}`));
}

function asPage(result: Page | LostPosition): Page {
  if (result.kind === 'page') return result;
  throw new Error(`expected a page, got a reset: ${JSON.stringify(result.reset)}`);
}

async function readAll(logs: Logs, log: string, after = 0): Promise<readonly Entry[]> {
  return asPage(await logs.read(log, { offset: after }, ALL)).entries;
}

const refused = (code: string) => (error: Error & { code?: string }) => error.code === code;

async function opened(fixture: StoreFixture): Promise<Store & { other: Store }> {
  const store = await fixture.open();
  return Object.assign(store, { other: (await fixture.openOther?.()) ?? store });
}

/** What every implementation of `Logs` keeps. */
export const logsSuite: readonly StoreCase[] = [
  {
    id: 'ST-1',
    title: 'offsets start at 1 and rise by one, in the order of the calls',
    async run(fixture) {
      const { logs } = await fixture.open();
      const results = await Promise.all(drafts(1, 50).map((each) => logs.append('a', [each])));
      deepEqual(
        results.map((result) => result.offsets[0]),
        Array.from({ length: 50 }, (_, index) => index + 1),
      );
      deepEqual(
        (await readAll(logs, 'a')).map((entry) => entry.id),
        drafts(1, 50).map((each) => each.id),
      );
    },
  },
  {
    id: 'ST-1',
    title: 'concurrent appends to one log leave no hole and no double',
    async run(fixture) {
      const { logs, other } = await opened(fixture);
      const appends = Array.from({ length: 400 }, (_, index) =>
        (index % 2 ? logs : other.logs).append('a', [draft(`x${index}`), draft(`y${index}`)]),
      );
      const offsets = (await Promise.all(appends)).flatMap((result) => result.offsets);
      deepEqual(
        offsets.toSorted((a, b) => a - b),
        Array.from({ length: 800 }, (_, index) => index + 1),
      );
      const entries = await readAll(logs, 'a');
      deepEqual(
        entries.map((entry) => entry.offset),
        Array.from({ length: 800 }, (_, index) => index + 1),
      );
      equal(new Set(entries.map((entry) => entry.id)).size, 800);
    },
  },
  {
    id: 'ST-2',
    title: 'an append that resolved is read at once, also by another process',
    skip: needsOther,
    async run(fixture) {
      const { logs, other } = await opened(fixture);
      for (let round = 1; round <= 20; round++) {
        await logs.append('a', [draft(`mine${round}`)]);
        equal((await readAll(other.logs, 'a')).length, round * 2 - 1);
        await other.logs.append('a', [draft(`theirs${round}`)]);
        equal((await readAll(logs, 'a')).length, round * 2);
      }
    },
  },
  {
    id: 'ST-3',
    title: 'the same id twice stores one entry and returns the first position',
    async run(fixture) {
      const { logs } = await fixture.open();
      const first = await logs.append('a', [draft('one', 1), draft('two', 2)]);
      const again = await logs.append('a', [draft('two', 'changed'), draft('three', 3), draft('three', 4)]);
      deepEqual(first.offsets, [1, 2]);
      equal(first.stored, 2);
      deepEqual(again.offsets, [2, 3, 3]);
      equal(again.stored, 1);
      deepEqual(
        (await readAll(logs, 'a')).map((entry) => entry.data),
        [1, 2, 3],
      );
      equal((await logs.append('b', [draft('one')])).stored, 1, 'an id counts within its log only');
    },
  },
  {
    id: 'ST-4',
    title: 'an append is stored whole or not at all',
    async run(fixture) {
      const { logs } = await fixture.open();
      await logs.append('a', [draft('one')]);
      const tooLarge = draft('three', 'x'.repeat(3 * 1024 * 1024));
      await rejects(logs.append('a', [draft('two'), tooLarge]), refused('too_large'));
      deepEqual(
        (await readAll(logs, 'a')).map((entry) => entry.id),
        ['one'],
      );
      equal((await logs.append('a', [draft('four')])).offsets[0], 2);
    },
  },
  {
    id: 'ST-4',
    title: 'an append of nothing creates the log',
    async run(fixture) {
      const { logs } = await fixture.open();
      deepEqual(await logs.heads(['a']), [null]);
      const { head } = await logs.append('a', []);
      deepEqual(await logs.heads(['a']), [head]);
      equal(head.offset, 0);
      equal(head.oldest, 1);
      notEqual(head.epoch, '');
    },
  },
  {
    id: 'ST-5',
    title: 'a stale fence is refused and stores nothing',
    async run(fixture) {
      const { logs } = await fixture.open();
      const fenced = (token: number, id: string) =>
        logs.append('a', id ? [draft(id)] : [], { fence: { run: 'r', token } });
      await fenced(1, 'one');
      await fenced(1, 'two');
      equal((await fenced(3, '')).head.fence, 3, 'an append of nothing raises it');
      await rejects(fenced(2, 'late'), refused('fenced'));
      await rejects(fenced(1, 'one'), refused('fenced'), 'also with an id that is stored');
      await logs.append('a', [draft('unfenced')]);
      await fenced(3, 'three');
      deepEqual(
        (await readAll(logs, 'a')).map((entry) => entry.id),
        ['one', 'two', 'unfenced', 'three'],
      );
    },
  },
  {
    id: 'ST-5',
    title: 'a fence of an epoch that is gone is refused, whatever its token',
    async run(fixture) {
      const { logs } = await fixture.open();
      const { epoch } = (await logs.append('a', [], { fence: { run: 'r', token: 5 } })).head;
      const fence = { run: 'r', token: 5, epoch };
      await logs.append('a', [draft('one')], { fence });
      await logs.keep('a', fixture.now() - 1);
      await rejects(logs.append('a', [draft('two')], { fence }), refused('fenced'));
      deepEqual(await logs.heads(['a']), [null], 'nor does it bring the log back');
      await logs.append('a', [draft('three')]);
      await rejects(logs.append('a', [draft('four')], { fence: { ...fence, token: 9 } }), refused('fenced'));
      deepEqual(
        (await readAll(logs, 'a')).map((entry) => entry.id),
        ['three'],
      );
    },
  },
  {
    id: 'ST-6',
    title: 'positions are exclusive, and a log that does not exist is empty',
    async run(fixture) {
      const { logs } = await fixture.open();
      const none = asPage(await logs.read('a', { offset: 0 }, ALL));
      deepEqual(none, {
        kind: 'page',
        entries: [],
        bytes: 0,
        next: { epoch: '', offset: 0 },
        more: false,
        ended: false,
      });
      await logs.append('a', drafts(1, 5));
      deepEqual(
        (await readAll(logs, 'a', 3)).map((entry) => entry.offset),
        [4, 5],
      );
      deepEqual(await readAll(logs, 'a', 5), []);
    },
  },
  {
    id: 'ST-6',
    title: 'an unknown epoch, a trimmed and an impossible position give a reset',
    async run(fixture) {
      const { logs } = await fixture.open();
      const { head } = await logs.append('a', drafts(1, 10));
      await logs.trim('a', 5);
      const to = { epoch: head.epoch, offset: 4 };
      for (const [reason, from] of [
        ['epoch', { epoch: 'other', offset: 7 }],
        ['epoch', { epoch: '', offset: 0 }],
        ['trimmed', { epoch: head.epoch, offset: 3 }],
        ['trimmed', { offset: 0 }],
        ['ahead', { epoch: head.epoch, offset: 11 }],
        ['ahead', { offset: Number.MAX_SAFE_INTEGER }],
      ] as const) {
        deepEqual(await logs.read('a', from, ALL), { kind: 'reset', reset: { log: 'a', reason, from, to } });
      }
      equal((await readAll(logs, 'a', 4)).length, 6, 'the position just before the oldest is good');
    },
  },
  {
    id: 'ST-6',
    title: 'a log that was lost comes back with another epoch',
    async run(fixture) {
      const { logs } = await fixture.open();
      const before = await logs.append('a', drafts(1, 3));
      await logs.keep('a', fixture.now() - 1);
      const after = await logs.append('a', drafts(1, 1));
      notEqual(after.head.epoch, before.head.epoch);
      const lost = await logs.read('a', { epoch: before.head.epoch, offset: 1 }, ALL);
      equal(lost.kind === 'reset' && lost.reset.reason, 'epoch');
    },
  },
  {
    id: 'ST-7',
    title: 'pages obey both limits and join without hole or double, also at 10,000 entries',
    async run(fixture) {
      const { logs } = await fixture.open();
      for (let from = 1; from <= 10_500; from += 500) await logs.append('a', drafts(from, from + 499));
      const first = asPage(await logs.read('a', { offset: 0 }, { entries: 10_000, bytes: 1 << 30 }));
      equal(first.entries.length, 10_000);
      equal(first.more, true);
      const rest = asPage(await logs.read('a', first.next, { entries: 10_000, bytes: 1 << 30 }));
      equal(rest.entries.length, 500);
      equal(rest.more, false);
      const ids = [...first.entries, ...rest.entries].map((entry) => entry.id);
      deepEqual(
        ids,
        drafts(1, 10_500).map((each) => each.id),
      );
      await logs.append(
        'b',
        [1, 2, 3].map((n) => draft(`big${n}`, 'x'.repeat(1000))),
      );
      equal(asPage(await logs.read('b', { offset: 0 }, { entries: 10, bytes: 2500 })).entries.length, 2);
      equal(asPage(await logs.read('b', { offset: 0 }, { entries: 10, bytes: 1 })).entries.length, 1);
    },
  },
  {
    id: 'ST-8',
    title: 'an ended log takes nothing new, and says so to its readers',
    async run(fixture) {
      const { logs } = await fixture.open();
      await logs.append('a', [draft('one')]);
      await logs.append('a', [draft('r:end')], { end: true });
      await rejects(logs.append('a', [draft('two')]), refused('ended'));
      await rejects(logs.append('a', [draft('one'), draft('two')]), refused('ended'));
      deepEqual((await logs.append('a', [draft('r:end')], { end: true })).offsets, [2]);
      equal(asPage(await logs.read('a', { offset: 0 }, { entries: 1, bytes: 1 << 20 })).ended, false);
      equal(asPage(await logs.read('a', { offset: 1 }, ALL)).ended, true);
      equal(asPage(await logs.read('a', { offset: 2 }, ALL)).ended, true);
      equal((await logs.heads(['a']))[0]?.ended, true);
    },
  },
  {
    id: 'ST-9',
    title: 'a trim forgets old entries and their ids, and offsets go on',
    async run(fixture) {
      const { logs } = await fixture.open();
      await logs.append('a', drafts(1, 10));
      const full = (await logs.heads(['a']))[0];
      await logs.trim('a', 6);
      const head = (await logs.heads(['a']))[0];
      equal(head?.oldest, 6);
      equal(head?.offset, 10);
      ok((head?.bytes ?? 0) < (full?.bytes ?? 0) && (head?.bytes ?? 0) > 0);
      await logs.trim('a', 3);
      equal((await logs.heads(['a']))[0]?.oldest, 6, 'never back');
      equal((await logs.append('a', [draft('e1')])).offsets[0], 11, 'a forgotten id is new again');
      equal((await logs.append('a', [draft('e9')])).offsets[0], 9);
      await logs.trim('a', 1_000_000);
      deepEqual((await logs.heads(['a']))[0], { ...head, offset: 11, oldest: 12, bytes: 0 });
      equal((await logs.append('a', [draft('next')])).offsets[0], 12);
      await logs.trim('unknown', 5);
    },
  },
  {
    id: 'ST-10',
    title: 'a log is gone when its time is over',
    async run(fixture) {
      const { logs } = await fixture.open();
      const { head } = await logs.append('a', drafts(1, 3));
      await logs.keep('a', fixture.now() + 1000);
      fixture.advance(999);
      equal((await readAll(logs, 'a')).length, 3);
      await logs.keep('a', fixture.now() + 1000);
      fixture.advance(999);
      equal((await readAll(logs, 'a')).length, 3, 'keep moves it');
      fixture.advance(1);
      deepEqual(await logs.heads(['a']), [null]);
      deepEqual(await readAll(logs, 'a'), []);
      const again = await logs.append('a', drafts(1, 1));
      deepEqual(again.offsets, [1]);
      notEqual(again.head.epoch, head.epoch);
    },
  },
  {
    id: 'ST-11',
    title: 'data comes back as JSON makes it, in every script',
    async run(fixture) {
      const { logs } = await fixture.open();
      const values: unknown[] = [
        null,
        0,
        -1.5e300,
        true,
        '',
        'naïve 東京 🎻 \u0000 \u2028 \ud800 "\\',
        [],
        {},
        { deep: [{ er: { still: ['x'] } }] },
        JSON.parse('{"__proto__": {"polluted": true}}'),
      ];
      await logs.append(
        'unicode 東京',
        values.map((value, index) => ({ ...draft(`id 🎻 ${index}`, value), source: 'agent:é' })),
      );
      const entries = await readAll(logs, 'unicode 東京');
      deepEqual(
        entries.map((entry) => JSON.stringify(entry.data)),
        values.map((value) => JSON.stringify(value)),
      );
      equal(entries[3]?.id, 'id 🎻 3');
      equal(entries[3]?.source, 'agent:é');
      equal(entries[3]?.log, 'unicode 東京');
      equal(({} as { polluted?: boolean }).polluted, undefined);
    },
  },
  {
    id: 'ST-11',
    title: 'the greatest entry is stored, one byte more is refused',
    async run(fixture) {
      const { logs } = await fixture.open();
      const greatest = 'é'.repeat((1024 * 1024 - 8 * 1024 - 2) / 2); // two quotes, two bytes each
      await logs.append('a', [draft('fits', greatest)]);
      await rejects(logs.append('a', [draft('large', `${greatest}x`)]), refused('too_large'));
      const [entry, ...others] = await readAll(logs, 'a');
      equal(others.length, 0);
      equal(entry?.data, greatest);
    },
  },
  {
    id: 'ST-12',
    title: 'entries of a run are counted from 0, also across tokens and among others',
    async run(fixture) {
      const { logs } = await fixture.open();
      const by = (run: string, token: number) => ({ fence: { run, token } });
      await logs.append('a', [draft('m1')]);
      await logs.append('a', [draft('r0'), draft('r1')], by('r', 1));
      await logs.append('a', [draft('m2')]);
      await logs.append('a', [draft('r1'), draft('r2')], by('r', 2));
      await logs.append('a', [draft('s0')], by('s', 3));
      await logs.append('a', [draft('r3')], by('r', 4));
      deepEqual(
        (await readAll(logs, 'a')).map(({ id, run, runIndex }) => [id, run, runIndex]),
        [
          ['m1', undefined, undefined],
          ['r0', 'r', 0],
          ['r1', 'r', 1],
          ['m2', undefined, undefined],
          ['r2', 'r', 2],
          ['s0', 's', 0],
          ['r3', 'r', 3],
        ],
      );
    },
  },
  {
    id: 'ST-14',
    title: 'an id is found where its entry is, and nowhere once that is trimmed',
    async run(fixture) {
      const { logs } = await fixture.open();
      const { head } = await logs.append('a', drafts(1, 5));
      deepEqual(await logs.find('a', 'e4'), { epoch: head.epoch, offset: 4 });
      equal(await logs.find('a', 'e6'), null);
      equal(await logs.find('b', 'e4'), null);
      await logs.trim('a', 4);
      equal(await logs.find('a', 'e3'), null);
      deepEqual(await logs.find('a', 'e4'), { epoch: head.epoch, offset: 4 });
    },
  },
  {
    id: 'ST-13',
    title: 'heads answers in the order asked',
    async run(fixture) {
      const { logs } = await fixture.open();
      await logs.append('a', drafts(1, 2));
      await logs.append('b', drafts(1, 3));
      const heads = await logs.heads(['b', 'none', 'a', 'b']);
      deepEqual(
        heads.map((head) => head?.offset ?? null),
        [3, null, 2, 3],
      );
      deepEqual(await logs.heads([]), []);
    },
  },
];
