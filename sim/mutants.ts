import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';

/** Faults put into the shipped code on purpose: a simulation that does not notice one of them proves nothing. */
export interface Mutant {
  readonly name: string;
  /** From the root of the repository. */
  readonly file: string;
  /** Stands in the file exactly once. */
  readonly find: string;
  readonly replace: string;
}

const CORE = 'packages/server/src/core';

export const MUTANTS: readonly Mutant[] = [
  {
    name: 're-read after wake skipped',
    file: `${CORE}/tail.ts`,
    find: 'if (reached !== undefined && reached <= this.offset) return;',
    replace: 'if (reached !== undefined) return;',
  },
  {
    name: 'since off by one',
    file: `${CORE}/feed.ts`,
    find: 'this.#offset = options.after.offset;',
    replace: 'this.#offset = options.after.offset + (options.after.offset < options.head.offset ? 1 : 0);',
  },
  {
    name: 'fence ignored',
    file: 'packages/server/src/stores/memory.ts',
    find: 'fence.token < found.fence',
    replace: 'fence.token < 0',
  },
  {
    name: 'ring changeover wrong',
    file: `${CORE}/feed.ts`,
    find: 'this.#offset === this.#tail.offset;',
    replace: 'this.#offset >= this.#tail.offset - 1;',
  },
  {
    name: 'doubled append id accepted',
    file: 'packages/server/src/stores/memory.ts',
    find: 'if (!found?.ids.has(draft.id)) fresh',
    replace: 'fresh',
  },
  {
    name: 'late wake dropped',
    file: `${CORE}/tail.ts`,
    find: 'this.#again = true;\n    if (this.#reading || this.#closed) return;',
    replace: 'if (this.#reading || this.#closed) return;\n    this.#again = true;',
  },
  {
    name: 'lease renewed after expiry',
    file: `${CORE}/lease.ts`,
    find: 'if (now >= held.expiresAt) return null;',
    replace: '',
  },
  {
    name: 'ack moving past a hole',
    file: `${CORE}/consumer.ts`,
    find: 'from > first ? [[first, from - 1]] : []',
    replace: '[]',
  },
  {
    name: 'retry of a failed message forgotten',
    file: `${CORE}/consumers.ts`,
    find: 'redeliver(entry, attempt) {\n        const isSent = options.redeliver?.(entry, attempt) ?? false;',
    replace: 'redeliver(entry, attempt) {\n        const isSent = attempt > 0;',
  },
  {
    name: 'replay before subscribe',
    file: `${CORE}/feed.ts`,
    find: 'if (atHead && this.#replayed) this.#enterLive();',
    replace: 'if (this.#replayed && this.#epoch === this.#tail.epoch) this.#enterLive();',
  },
  {
    name: 'reset swallowed',
    file: `${CORE}/feed.ts`,
    find: 'await this.#options.onReset(page.reset)',
    replace: 'page.reset.to',
  },
];

/** Loads the shipped code with one fault in it. Throws when the line to change is not there exactly once. */
export function plant(name: string): void {
  const mutant = MUTANTS.find((each) => each.name === name);
  if (!mutant)
    throw new Error(`There is no mutant "${name}". Known: ${MUTANTS.map((each) => each.name).join(', ')}`);
  const path = fileURLToPath(new URL(`../${mutant.file}`, import.meta.url));
  const source = readFileSync(path, 'utf8');
  if (source.split(mutant.find).length !== 2)
    throw new Error(`${mutant.file} has "${mutant.find}" not exactly once`);
  registerHooks({
    load(url, context, next) {
      const loaded = next(url, context);
      if (!url.startsWith('file:') || fileURLToPath(url) !== path) return loaded;
      return { ...loaded, source: source.replace(mutant.find, () => mutant.replace) };
    },
  });
}
