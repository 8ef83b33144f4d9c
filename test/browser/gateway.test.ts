import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { findBrowser } from '../../scripts/setup-browser.ts';
import { type Proxy as CuttingProxy, startProxy } from '../system/proxy.ts';
import { type ServerProcess, startServer } from '../system/server-process.ts';
import { checkEvents, finalsOf } from '../system/viewer.ts';
import { until } from '../system/waiting.ts';
import { type Browsing, type RemoteTab, startBrowser } from './browser.ts';

/** The client in Chromium, against the shipped command. What other engines do differently is not looked at here. */

let skipped: string | null = null;
let browsing: Browsing | null = null;
let server: ServerProcess;
let proxy: CuttingProxy;
let folder: string;

beforeAll(async () => {
  const browser = findBrowser();
  skipped = browser.skipped;
  if (browser.path !== null) browsing = await startBrowser(browser.path);
}, 60_000);
afterAll(() => browsing?.close());

beforeEach(async ({ skip }) => {
  skip(skipped !== null, skipped ?? '');
  folder = mkdtempSync(join(tmpdir(), 'continuo-browser-'));
  server = await startServer({ store: `sqlite:${join(folder, 'store.db')}` });
  proxy = await startProxy();
  proxy.setTargets([server.port]);
  return async () => {
    await browsing?.context.setOffline(false);
    for (const page of browsing?.context.pages() ?? []) await page.close();
    await proxy.close();
    await server.kill();
    rmSync(folder, { recursive: true, force: true });
  };
}, 60_000);

const url = (): string => `ws://127.0.0.1:${proxy.port}`;

async function openTab(): Promise<RemoteTab> {
  if (!browsing) throw new Error('there is no browser');
  return browsing.openTab();
}

/** Waits for this many answers, and checks that every event came once and in order. Returns how they ended. */
async function endsOf(tab: RemoteTab, answers: number): Promise<readonly string[]> {
  await until(`${answers} answers in the page`, 40_000, async () => {
    return finalsOf((await tab.seen()).events).length >= answers;
  });
  const { events, gaps, problems } = await tab.seen();
  checkEvents(events);
  expect({ gaps, problems }).toEqual({ gaps: 0, problems: [] });
  return finalsOf(events).map((final) => final.outcome);
}

async function untilTokens(tab: RemoteTab, count: number): Promise<void> {
  await until(`${count} tokens in the page`, 10_000, async () => {
    const { events } = await tab.seen();
    return events.filter((event) => event.type === 'token_stream').length >= count;
  });
}

describe('a page in Chromium', () => {
  it('connects and streams: every event once, in order', async () => {
    const tab = await openTab();
    await tab.open(url(), 'echo');
    await tab.send('hello from a page');
    expect(await endsOf(tab, 1)).toEqual(['ok']);
    const { events, states } = await tab.seen();
    const tokens = events.flatMap((event) => (event.type === 'token_stream' ? [event.data.content] : []));
    expect(tokens).toEqual(['echo: ', 'hello ', 'from ', 'a ', 'page']);
    expect(states).toEqual(['connecting', 'connected']);
  });

  it('is given what its turn came to when the server is killed in mid-answer and started again', async () => {
    const tab = await openTab();
    await tab.open(url(), 'storyteller');
    await tab.send('a story');
    await untilTokens(tab, 20);
    await server.kill();
    await until('the page notices', 5_000, async () => (await tab.seen()).state === 'reconnecting');
    const sent = tab.send('and another');
    server = await startServer({ store: `sqlite:${join(folder, 'store.db')}` });
    proxy.setTargets([server.port]);
    const another = await sent;
    await until('the next answer streams', 20_000, async () => {
      const { events } = await tab.seen();
      return events.some((event) => event.type === 'token_stream' && event.data.message_id === another);
    });
    expect(await endsOf(tab, 1)).toEqual(['interrupted']);
    expect((await tab.seen()).states).toEqual(['connecting', 'connected', 'reconnecting', 'connected']);
  });

  it('misses nothing of an answer that went on while it was offline', async () => {
    const tab = await openTab();
    await tab.open(url(), 'storyteller');
    await tab.send('a story');
    await untilTokens(tab, 20);
    // Chromium refuses new connections now, but leaves open WebSockets as they are: those are cut on the way.
    await browsing?.context.setOffline(true);
    for (const connection of [...proxy.connections]) connection.cut();
    await until('the page notices', 5_000, async () => (await tab.seen()).state === 'reconnecting');
    const before = (await tab.seen()).events.length;
    await sleep(2_000); // attempts of 100 to 500 ms fail meanwhile
    expect(await tab.seen()).toMatchObject({ state: 'reconnecting', events: { length: before } });
    expect(proxy.connections).toEqual([]);
    await browsing?.context.setOffline(false);
    expect(await endsOf(tab, 1)).toEqual(['ok']);
    expect((await tab.seen()).events.length).toBeGreaterThan(before);
  });

  it('G-17 shares a session with another tab: every event once, in order, in each', async () => {
    const [first, second] = await Promise.all([openTab(), openTab()]);
    await first.open(url(), 'echo');
    const { position } = await first.seen();
    if (!position) throw new Error('joined without a session');
    await second.open(url(), 'echo', position);
    await Promise.all(['one', 'two', 'three'].flatMap((text) => [first.send(text), second.send(text)]));
    const ends = [await endsOf(first, 6), await endsOf(second, 6)];
    expect(ends).toEqual([Array(6).fill('ok'), Array(6).fill('ok')]);
    const [inFirst, inSecond] = [await first.seen(), await second.seen()];
    expect(inSecond.events).toEqual(inFirst.events);
  });
});
