import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { UsageError } from '../fail.ts';
import { CONFIG_FILES, type LoadOptions, loadConfig } from './load.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'continuo-config-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(name: string, text: string): void {
  writeFileSync(join(folder, name), text);
}

async function problemOf(options: Omit<LoadOptions, 'folder'> = {}): Promise<string> {
  const error: unknown = await loadConfig({ folder, ...options }).then(
    () => 'none',
    (reason: unknown) => reason,
  );
  return error instanceof UsageError ? error.message : String(error);
}

describe('the configuration', () => {
  it('is empty where there is no file', async () => {
    expect(await loadConfig({ folder })).toEqual({ file: null, config: {} });
  });

  it.each(CONFIG_FILES)('is found in the working folder: %s', async (name) => {
    write('package.json', '{ "type": "module" }');
    write(name, 'export default { port: 7 };');
    expect(await loadConfig({ folder })).toEqual({ file: join(folder, name), config: { port: 7 } });
  });

  it('is the file that is named, and no other', async () => {
    write('continuo.config.mjs', 'export default { port: 7 };');
    write('other.mjs', 'export default { port: 8 };');
    expect((await loadConfig({ folder, given: 'other.mjs' })).config).toEqual({ port: 8 });
    expect((await loadConfig({ folder, given: join(folder, 'other.mjs') })).config).toEqual({ port: 8 });
  });

  it('has to be there when it is named', async () => {
    expect(await problemOf({ given: 'nowhere.ts' })).toBe(
      'There is no file nowhere.ts: give another with --config.',
    );
  });

  it('says what to do where Node does not read TypeScript', async () => {
    write('continuo.config.ts', 'export default {};');
    expect(await problemOf({ readsTypeScript: false })).toMatch(
      /^continuo\.config\.ts: Node \S+ does not read TypeScript by itself: use 22\.18 or newer, .*--experimental-strip-types, or .*\.mjs/,
    );
  });

  it.each([
    ['export const config = {};', /^continuo\.config\.mjs has no default export: write `export default/],
    ['export default {', /^continuo\.config\.mjs: /],
    ['export default { prot: 1 };', /^continuo\.config\.mjs: "prot" is no key: did you mean "port"\?$/],
    [
      'throw new Error("The environment has no KEY: set it.");',
      /^continuo\.config\.mjs: The environment has no KEY: set it\.$/,
    ],
  ])('is refused in one sentence that names the file: %s', async (text, sentence) => {
    write('continuo.config.mjs', text);
    const problem = await problemOf();
    expect(problem).toMatch(sentence);
    expect(problem.split('\n')).toHaveLength(1);
  });
});
