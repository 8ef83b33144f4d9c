import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** The browser that `test/browser` drives: Chromium as the system has it. */

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const ELSEWHERE = [
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
];

export type Browser =
  | { readonly path: string; readonly skipped: null }
  /** Why the tests in a browser are left out. */
  | { readonly path: null; readonly skipped: string };

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function findChromium(): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  const candidates = NAMES.flatMap((name) => folders.map((folder) => join(folder, name)));
  return [...candidates, ...ELSEWHERE].find(isExecutable);
}

function isSkipped(): boolean {
  return (process.env.CONTINUO_SKIP ?? '').split(',').includes('chromium');
}

/** The Chromium there is, or that it is to be left out. Throws a sentence that says what to do when there is none. */
export function findBrowser(): Browser {
  if (isSkipped()) return { path: null, skipped: 'CONTINUO_SKIP=chromium' };
  const path = findChromium();
  if (path === undefined) {
    throw new Error(
      'There is no Chromium: install the package chromium (or google-chrome) of your system, or leave its tests out with CONTINUO_SKIP=chromium.',
    );
  }
  return { path, skipped: null };
}

/** As {@link findBrowser}; on Debian and Ubuntu, and as root, what is missing is installed first. */
export function setUpBrowser(): Browser {
  const mayInstall = existsSync('/etc/debian_version') && process.getuid?.() === 0;
  if (!isSkipped() && mayInstall && findChromium() === undefined) install();
  return findBrowser();
}

function install(): void {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  for (const args of [['update'], ['install', '-y', 'chromium']]) {
    const { status, error, stderr } = spawnSync('apt-get', args, { env, encoding: 'utf8' });
    if (status === 0) continue;
    const reason = error?.message ?? stderr.trim().split('\n').at(-1);
    throw new Error(`apt-get ${args.join(' ')} failed: ${reason}. CONTINUO_SKIP=chromium leaves it out.`);
  }
}

if (import.meta.main) {
  try {
    const started = Date.now();
    const { path, skipped } = setUpBrowser();
    console.log(path ?? `skipped: ${skipped}`, `(${Date.now() - started} ms)`);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  }
}
