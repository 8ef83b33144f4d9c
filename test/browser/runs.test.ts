import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { RunAccepted } from '@continuo/protocol';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { findBrowser } from '../../scripts/setup-browser.ts';
import { type Proxy as CuttingProxy, startProxy } from '../system/proxy.ts';
import { checkRun } from '../system/run-reader.ts';
import { type ServerProcess, startServer } from '../system/server-process.ts';
import { until } from '../system/waiting.ts';
import { type Browsing, startBrowser } from './browser.ts';
import { type SeenRun, type WatchingPage, watchRun } from './runs-page.ts';

/** Chromium's own EventSource on `GET .../events`, through a proxy that cuts, against the shipped command. */

const OPEN = 1;
const CLOSED = 2;
/** Chromium comes back 3 s after it was cut; what it does not do must be missing for longer. */
const NO_MORE_MS = 4_500;
const BACK_MS = 10_000;

let skipped: string | null = null;
let browsing: Browsing | null = null;
let server: ServerProcess;
const proxies: CuttingProxy[] = [];

beforeAll(async () => {
  const browser = findBrowser();
  skipped = browser.skipped;
  if (browser.path !== null) browsing = await startBrowser(browser.path);
}, 60_000);
afterAll(() => browsing?.close());

beforeEach(async ({ skip }) => {
  skip(skipped !== null, skipped ?? '');
  const folder = mkdtempSync(join(tmpdir(), 'continuo-browser-'));
  server = await startServer({ store: `sqlite:${join(folder, 'store.db')}` });
  return async () => {
    for (const page of browsing?.context.pages() ?? []) await page.close();
    for (const proxy of proxies.splice(0)) await proxy.close();
    await server.kill();
    rmSync(folder, { recursive: true, force: true });
  };
}, 60_000);

/** Past the proxy. */
async function post(path: string, body: object): Promise<unknown> {
  const response = await fetch(`${server.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return response.json();
}

interface Watched {
  readonly page: WatchingPage;
  /** Of the run, at the server. */
  readonly path: string;
  /** Cuts what is open; resolves, when the page has noticed, with the index it will come back with. */
  cut(): Promise<string>;
}

/** Starts a run that nobody streams, and opens an EventSource on it, through a proxy of its own. */
async function watch(component: string, message: string): Promise<Watched> {
  if (!browsing) throw new Error('there is no browser');
  const started = await post(`/${component}/runs`, { message, stream: false, background: true });
  const path = `/${component}/runs/${RunAccepted.parse(started).run_id}`;
  const proxy = await startProxy();
  proxies.push(proxy);
  proxy.setTargets([server.port]);
  const tab = await browsing.context.newPage();
  const page = await watchRun(tab, `http://127.0.0.1:${proxy.port}/`, `${path}/events`);
  return {
    page,
    path,
    async cut() {
      for (const connection of [...proxy.connections]) connection.cut();
      await until('the page notices', 5_000, async () => (await page.seen()).readyState !== OPEN);
      return String(ofRun(await page.seen()).at(-1)?.event_index);
    },
  };
}

const ofRun = ({ events }: SeenRun): SeenRun['events'] =>
  events.filter(({ event_index: index }) => index !== undefined);

async function untilEvents(page: WatchingPage, count: number): Promise<void> {
  await until(`${count} events in the page`, BACK_MS, async () => ofRun(await page.seen()).length >= count);
}

/** It has asked once more, and then never again. */
async function untilClosed(page: WatchingPage): Promise<void> {
  await until('the EventSource stops', 30_000, async () => (await page.seen()).readyState === CLOSED);
  const asked = (await page.asked()).length;
  await sleep(NO_MORE_MS);
  expect((await page.asked()).length).toBe(asked);
  expect((await page.seen()).readyState).toBe(CLOSED);
}

/** Cut after so many events, each time; it takes 3 s to come back. */
const CUTS = [
  { component: 'agents/storyteller', after: [20, 150] },
  { component: 'teams/story-team', after: [20, 100] },
  { component: 'workflows/content-creation-workflow', after: [20] },
];

describe("Chromium's EventSource on a run", () => {
  it('R-13 resumes by itself after cuts, has every event once, and stops at the end', async () => {
    async function watchThrough({ component, after }: (typeof CUTS)[number]): Promise<void> {
      const { page, path, cut } = await watch(component, 'a story');
      const cameBackWith: string[] = [];
      for (const count of after) {
        await untilEvents(page, count);
        cameBackWith.push(await cut());
      }
      await untilClosed(page);
      const events = ofRun(await page.seen());
      checkRun(events);
      const stored = await (await fetch(`${server.url}${path}`)).json();
      expect(events).toEqual(stored.events);
      expect(await page.asked()).toEqual([
        { lastEventId: null, status: 200 },
        ...cameBackWith.map((lastEventId) => ({ lastEventId, status: 200 })),
        { lastEventId: String(events.length - 1), status: 204 },
      ]);
    }
    await Promise.all(CUTS.map(watchThrough));
  });

  it('R-13 stays open over a pause, and goes on when the person has answered', async () => {
    const { page, path } = await watch('agents/clerk', 'water the plants');
    await until('the run pauses', BACK_MS, async () => {
      return (await page.seen()).events.some(({ event }) => event === 'RunPaused');
    });
    await sleep(NO_MORE_MS);
    const paused = await page.seen();
    expect(paused.readyState).toBe(OPEN);
    const { tools } = paused.events.find(({ event }) => event === 'RunPaused') ?? {};
    const confirmed = Array.isArray(tools) ? tools.map((tool) => ({ ...tool, confirmed: true })) : [];
    await post(`${path}/continue`, { tools: confirmed, stream: false, background: true });
    await untilClosed(page);
    const events = ofRun(await page.seen());
    checkRun(events);
    expect(events.at(-1)?.event).toBe('RunCompleted');
    expect(await page.asked()).toEqual([
      { lastEventId: null, status: 200 },
      { lastEventId: String(events.length - 1), status: 204 },
    ]);
  });
});
