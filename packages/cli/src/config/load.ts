import { existsSync, realpathSync } from 'node:fs';
import { basename, dirname, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { UsageError } from '../fail.ts';
import { checkConfig } from './check.ts';
import type { ContinuoConfig } from './define.ts';
import { placeIn } from './place.ts';

/** Looked for in the working folder, in this order. */
export const CONFIG_FILES = ['continuo.config.ts', 'continuo.config.js', 'continuo.config.mjs'] as const;

export interface LoadedConfig {
  /** The file's path; `null` where there is none. */
  readonly file: string | null;
  readonly config: ContinuoConfig;
}

export interface LoadOptions {
  /** The working folder. */
  readonly folder: string;
  /** What `--config` named. */
  readonly given?: string | undefined;
  /** Whether Node reads TypeScript by itself. */
  readonly readsTypeScript?: boolean;
}

/** Reads the configuration and checks it. Throws a `UsageError` that says which file, which key and what to do. */
export async function loadConfig(options: LoadOptions): Promise<LoadedConfig> {
  const { folder, given, readsTypeScript = Boolean(process.features.typescript) } = options;
  const file = given === undefined ? findConfig(folder) : resolve(folder, given);
  if (file === null) return { file: null, config: {} };
  const name = given ?? basename(file);
  if (!existsSync(file)) throw new UsageError(`There is no file ${name}: give another with --config.`);
  if (/\.[mc]?ts$/.test(file) && !readsTypeScript) {
    throw new UsageError(
      `${name}: Node ${process.versions.node} does not read TypeScript by itself: use 22.18 or newer, ` +
        'set NODE_OPTIONS=--experimental-strip-types, or call the file continuo.config.mjs and write no types.',
    );
  }
  const config = await importConfig(file, name);
  try {
    checkConfig(config, name);
  } catch (error) {
    throw new UsageError(reasonOf(error));
  }
  return { file, config };
}

function findConfig(folder: string): string | null {
  return CONFIG_FILES.map((name) => resolve(folder, name)).find((path) => existsSync(path)) ?? null;
}

async function importConfig(file: string, name: string): Promise<unknown> {
  let exported: object;
  try {
    exported = await import(pathToFileURL(file).href);
  } catch (error) {
    const reason = reasonOf(error).split('\n', 1)[0] ?? '';
    const hint = /Cannot find package 'continuo'/.test(reason)
      ? ' Install it beside the file: npm install continuo.'
      : '';
    throw new UsageError(`${name}${whereIn(error, file)}: ${reason}${hint}`);
  }
  if (!('default' in exported)) {
    throw new UsageError(`${name} has no default export: write \`export default defineConfig({ ... })\`.`);
  }
  return exported.default;
}

/** Where a file cannot be read, and in which one if `file` only imports it; empty where Node does not say. */
function whereIn(error: unknown, file: string): string {
  const place = error instanceof SyntaxError ? placeIn(error.stack ?? '') : null;
  if (!place) return '';
  const other = relative(dirname(realpathSync(file)), place.file);
  const inOther = place.file === realpathSync(file) ? '' : `: ${other}`;
  return `${inOther}, line ${place.line}${place.column === null ? '' : `, column ${place.column}`}`;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
