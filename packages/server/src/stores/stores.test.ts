import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { busSuite, createSeededRandom, logsSuite, recordsSuite, type StoreFixture } from '@continuo/testing';
import { describe, it } from 'vitest';
import type { Clock, Store } from '../ports.ts';
import { createMemoryStore } from './memory.ts';
import { openSqliteStore } from './sqlite/index.ts';

/** A clock whose time is moved by hand; ticks are real, for the store works in another thread. */
function createHandClock(): Clock & { advance(ms: number): void } {
  let now = 1_700_000_000_000;
  return {
    now: () => now,
    schedule: () => () => {},
    soon: (run) => void setImmediate(run),
    advance(ms) {
      now += ms;
    },
  };
}

function memoryFixture(): StoreFixture {
  const clock = createHandClock();
  const opened: Store[] = [];
  return {
    async open() {
      const store = createMemoryStore({ clock, random: createSeededRandom(1) });
      opened.push(store);
      return store;
    },
    advance: clock.advance,
    now: clock.now,
    async close() {
      for (const store of opened) await store.close();
    },
  };
}

function sqliteFixture(): StoreFixture {
  const clock = createHandClock();
  const folder = mkdtempSync(join(tmpdir(), 'continuo-store-'));
  const opened: Store[] = [];
  async function open(): Promise<Store> {
    const store = await openSqliteStore({ path: join(folder, 'test.db'), clock });
    opened.push(store);
    return store;
  }
  return {
    open,
    openOther: open,
    advance: clock.advance,
    now: clock.now,
    async close() {
      for (const store of opened) await store.close();
      rmSync(folder, { recursive: true });
    },
  };
}

for (const [name, open] of [
  ['memory', memoryFixture],
  ['sqlite', sqliteFixture],
] as const) {
  describe(name, () => {
    for (const each of [...logsSuite, ...recordsSuite, ...busSuite]) {
      it(`${each.id} ${each.title}`, async (context) => {
        const fixture = open();
        const reason = each.skip?.(fixture);
        if (reason) return context.skip(reason);
        try {
          await each.run(fixture);
        } finally {
          await fixture.close();
        }
      });
    }
  });
}
