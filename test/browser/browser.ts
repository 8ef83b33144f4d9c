import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { SessionPosition } from '@continuo/client';
import { build } from 'esbuild';
import { type BrowserContext, chromium, type Page } from 'playwright-core';
import type { Seen, Tab } from './page.ts';

/** Chromium with a new profile, on a page of this machine that holds the client. */
export interface Browsing {
  readonly context: BrowserContext;
  openTab(): Promise<RemoteTab>;
  close(): Promise<void>;
}

/** A page, as the test sees it. */
export interface RemoteTab extends Omit<Tab, 'seen'> {
  readonly page: Page;
  seen(): Promise<Seen>;
}

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
];

async function bundle(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('page.ts', import.meta.url))],
    bundle: true,
    write: false,
    format: 'iife',
    platform: 'browser',
    conditions: process.execArgv.flatMap((argument) => /^--conditions=(.+)$/.exec(argument)?.[1] ?? []),
  });
  return outputFiles[0]?.text ?? '';
}

export async function startBrowser(executablePath: string): Promise<Browsing> {
  const script = await bundle();
  const server = createServer((incoming, outgoing) => {
    const isScript = incoming.url === '/page.js';
    outgoing.setHeader('content-type', isScript ? 'text/javascript' : 'text/html; charset=utf-8');
    outgoing.end(
      isScript ? script : '<!doctype html><title>Continuo</title><script src="/page.js"></script>',
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const profile = mkdtempSync(join(tmpdir(), 'continuo-browser-'));
  const context = await chromium.launchPersistentContext(profile, { executablePath, args: FLAGS });

  return {
    context,
    async openTab() {
      const page = await context.newPage();
      await page.goto(`http://127.0.0.1:${port}/`);
      return {
        page,
        open: (url: string, agentId: string, position?: SessionPosition) =>
          page.evaluate(([to, agent, at]) => globalThis.tab.open(to, agent, at), [
            url,
            agentId,
            position,
          ] as const),
        send: (text) => page.evaluate((content) => globalThis.tab.send(content), text),
        seen: () => page.evaluate(() => globalThis.tab.seen()),
      };
    },
    async close() {
      await context.close();
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
