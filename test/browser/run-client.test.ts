import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { findBrowser } from '../../scripts/setup-browser.ts';
import { type Proxy as CuttingProxy, startProxy } from '../system/proxy.ts';
import { type ServerProcess, startServer } from '../system/server-process.ts';
import { until } from '../system/waiting.ts';
import { type Browsing, startBrowser } from './browser.ts';

/** The run client in Chromium, through a proxy that cuts, against the shipped command. */

const CUTS = 5;
/** Between two cuts, events that came. */
const EVENTS = 20;

let skipped: string | null = null;
let browsing: Browsing | null = null;
let server: ServerProcess;
let proxy: CuttingProxy;
let script: string;

beforeAll(async () => {
  const browser = findBrowser();
  skipped = browser.skipped;
  if (browser.path === null) return;
  browsing = await startBrowser(browser.path);
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('run-client-page.ts', import.meta.url))],
    bundle: true,
    minify: true,
    write: false,
    format: 'iife',
    platform: 'browser',
    conditions: ['continuo-source'],
  });
  script = outputFiles[0]?.text ?? '';
}, 60_000);
afterAll(() => browsing?.close());

beforeEach(async ({ skip }) => {
  skip(skipped !== null, skipped ?? '');
  server = await startServer({ store: 'memory' });
  proxy = await startProxy();
  proxy.setTargets([server.port]);
  return async () => {
    for (const page of browsing?.context.pages() ?? []) await page.close();
    await proxy.close();
    await server.kill();
  };
}, 60_000);

/** A page of the gateway: one of another site may not ask it. */
async function openPage(): Promise<Page> {
  if (!browsing) throw new Error('there is no browser');
  const page = await browsing.context.newPage();
  await page.goto(`http://127.0.0.1:${proxy.port}/`);
  await page.evaluate(script);
  return page;
}

const seenBy = (page: Page) => page.evaluate(() => globalThis.runPage.seen());

describe('a run client in Chromium', () => {
  it('R-3, R-13 has every event of a run once over cuts, and its result', async () => {
    const page = await openPage();
    const runId = await page.evaluate(() => globalThis.runPage.start('story-team', 'a knight'));
    for (let cut = 1; cut <= CUTS; cut++) {
      await until(`${cut * EVENTS} events in the page`, 20_000, async () => {
        return (await seenBy(page)).events.length >= cut * EVENTS;
      });
      for (const connection of [...proxy.connections]) connection.cut();
    }
    await until('the run ends', 40_000, async () => {
      const { result, problem } = await seenBy(page);
      return result !== null || problem !== null;
    });
    const { events, result, retries, transport, problem } = await seenBy(page);
    const stored = await (await fetch(`${server.url}/teams/story-team/runs/${runId}`)).json();
    expect(problem).toBeNull();
    expect(events).toEqual(stored.events);
    expect(result).toEqual({ status: 'COMPLETED', content: stored.content });
    expect([retries >= CUTS, transport]).toEqual([true, 'sse']);
  });

  it('says that it was redirected, and does not follow', async () => {
    const followed: string[] = [];
    const redirecting = createServer((request, response) => {
      followed.push(`${request.method} ${request.url}`);
      const allowed = {
        'access-control-allow-origin': '*',
        'access-control-allow-headers': '*',
      };
      response.writeHead(request.method === 'OPTIONS' ? 204 : 302, { ...allowed, location: server.url });
      response.end();
    });
    await new Promise<void>((resolve) => redirecting.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void redirecting.close());
    const { port } = redirecting.address() as AddressInfo;
    const page = await openPage();
    const refused = page.evaluate((url) => globalThis.runPage.startAt(url), `http://127.0.0.1:${port}`);
    await expect(refused).rejects.toThrow('The gateway redirects to another url.');
    expect(followed).toEqual(['OPTIONS /agents/echo/runs', 'POST /agents/echo/runs']);
  });
});
