import { deepEqual, equal, notEqual, ok } from 'node:assert/strict';
import type { StoreCase } from './suite.ts';

/** What every implementation of `Records` keeps. */
export const recordsSuite: readonly StoreCase[] = [
  {
    id: 'REC-1',
    title: 'put stores only at the version it was given',
    async run(fixture) {
      const { records } = await fixture.open();
      equal(await records.get('a'), null);
      equal(await records.put('a', 1, { ifVersion: 7 }), null);
      const first = await records.put('a', { n: 1 }, { ifVersion: 0 });
      ok(first);
      equal(await records.put('a', 'again', { ifVersion: 0 }), null);
      deepEqual(await records.get('a'), { key: 'a', value: { n: 1 }, version: first });
      const second = await records.put('a', { n: 2 }, { ifVersion: first });
      ok(second && second > first);
      equal(await records.put('a', 'stale', { ifVersion: first }), null);
      ok(await records.put('a', { n: 3 }));
      deepEqual((await records.get('a'))?.value, { n: 3 });
    },
  },
  {
    id: 'REC-1',
    title: 'of many puts at one version, one wins',
    async run(fixture) {
      const store = await fixture.open();
      const other = (await fixture.openOther?.()) ?? store;
      for (let round = 0; round < 10; round++) {
        const version = (await store.records.get('a'))?.version ?? 0;
        const tries = Array.from({ length: 20 }, (_, index) =>
          (index % 2 ? store : other).records.put('a', index, { ifVersion: version }),
        );
        const won = (await Promise.all(tries)).flatMap((result, index) => (result === null ? [] : [index]));
        equal(won.length, 1);
        equal((await store.records.get('a'))?.value, won[0]);
      }
    },
  },
  {
    id: 'REC-2',
    title: 'a version is never used twice',
    async run(fixture) {
      const { records } = await fixture.open();
      const versions: (number | null)[] = [];
      versions.push(await records.put('a', 1));
      await records.remove('a');
      versions.push(await records.put('a', 1));
      versions.push(await records.put('a', 1, { expiresAt: fixture.now() + 10 }));
      fixture.advance(10);
      versions.push(await records.put('a', 1, { ifVersion: 0 }));
      equal(new Set(versions).size, 4);
      ok(!versions.includes(null));
    },
  },
  {
    id: 'REC-3',
    title: 'an expired record is as if it had been removed',
    async run(fixture) {
      const { records } = await fixture.open();
      await records.put('a', 1, { expiresAt: fixture.now() + 100 });
      await records.put('b', 2);
      fixture.advance(99);
      notEqual(await records.get('a'), null);
      fixture.advance(1);
      equal(await records.get('a'), null);
      deepEqual(
        (await records.list('', { limit: 10 })).map((row) => row.key),
        ['b'],
      );
      equal(await records.remove('a'), false);
      ok(await records.put('a', 3, { ifVersion: 0 }));
      fixture.advance(1_000_000);
      equal((await records.get('a'))?.value, 3, 'a put without a time takes the old one away');
    },
  },
  {
    id: 'REC-4',
    title: 'list gives a prefix in order, page by page',
    async run(fixture) {
      const { records } = await fixture.open();
      for (const key of ['b/2', 'a/9', 'b/10', 'b/1', 'c/1', 'b', 'b0']) await records.put(key, key);
      const page = await records.list('b/', { limit: 2 });
      deepEqual(
        page.map((row) => row.key),
        ['b/1', 'b/10'],
      );
      const rest = await records.list('b/', { after: 'b/10', limit: 2 });
      deepEqual(
        rest.map((row) => [row.key, row.value]),
        [['b/2', 'b/2']],
      );
      deepEqual(await records.list('none', { limit: 2 }), []);
    },
  },
  {
    id: 'REC-5',
    title: 'remove takes the version it was given, and says so',
    async run(fixture) {
      const { records } = await fixture.open();
      equal(await records.remove('a'), false);
      const first = await records.put('a', 1);
      ok(first);
      equal(await records.remove('a', first + 1), false);
      equal(await records.remove('a', first), true);
      equal(await records.get('a'), null);
      await records.put('a', 1);
      equal(await records.remove('a'), true);
    },
  },
];
