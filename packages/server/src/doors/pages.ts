import type { Component } from '@continuo/protocol';
import { Hono } from 'hono';
import { html } from 'hono/html';

/** What anyone may ask without a token: is it alive, what is it. */

export interface PagesOptions {
  readonly components: readonly Component[];
  readonly version: string;
  readonly storeName: string;
  readonly push: boolean;
  readonly tokenRequired: boolean;
  health(): { readonly status: string; readonly uptime: number };
  /** Whether new work is taken: false while the server closes. */
  ready(): boolean;
  /** What stands before every path where this is part of another server: such as `/continuo`, or nothing. */
  prefixOf(env: unknown): string;
}

export function createPages(options: PagesOptions): Hono {
  const { components, version, storeName, push, tokenRequired, health, ready, prefixOf } = options;
  const pages = new Hono();

  pages.get('/health', (c) => c.json(health()));
  pages.get('/live', (c) => c.json({ status: 'ok' }));
  pages.get('/ready', (c) => (ready() ? c.json({ status: 'ok' }) : c.json({ status: 'draining' }, 503)));

  pages.get('/info', (c) =>
    c.json({
      name: 'continuo',
      version,
      store: {
        name: storeName,
        survives_restart: storeName !== 'memory',
        ...(storeName === 'memory' && {
          note: 'Sessions, channels and runs are gone when this process ends.',
        }),
      },
      push: { enabled: push },
      token_required: tokenRequired,
      agents: components.map(({ kind, id, name, demo = false }) => ({
        kind,
        id,
        name,
        demo,
        ...(demo && { note: 'A demo: it answers from a script, not from a model.' }),
      })),
    }),
  );

  pages.get('/', (c) => {
    const prefix = prefixOf(c.env);
    const host = `${new URL(c.req.url).host}${prefix}`;
    const auth = tokenRequired ? " -H 'Authorization: Bearer YOUR_TOKEN'" : '';
    const agent = components.find((component) => component.kind === 'agent')?.id ?? 'echo';
    const team = components.find((component) => component.kind === 'team')?.id;
    return c.html(html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Continuo</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 3rem auto; padding: 0 1rem; color: #1c2330; background: #fff; }
  h1 { margin-bottom: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .3rem; } p { margin: .3rem 0; }
  pre { background: #f3f5f8; padding: .8rem 1rem; border-radius: 6px; overflow-x: auto; font-size: .9rem; }
  table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #e3e7ee; }
  .muted { color: #5b6678; }
  @media (prefers-color-scheme: dark) {
    body { color: #e6e9ef; background: #14171c; } pre { background: #20252d; } td, th { border-color: #2c323c; } .muted { color: #9aa5b5; }
  }
</style>
</head>
<body>
<h1>Continuo</h1>
<p class="muted">A real-time gateway for AI agents. Version ${version}, store ${storeName}, channels ${push ? 'on' : 'off'}.</p>
<h2>What runs here</h2>
<table>
<tr><th>id</th><th>kind</th><th>name</th><th></th></tr>
${components.map((component) => html`<tr><td><code>${component.id}</code></td><td>${component.kind}</td><td>${component.name}</td><td class="muted">${component.demo ? 'demo: a script, not a model' : ''}</td></tr>`)}
</table>
<h2>1. Talk to an agent</h2>
<p>Connect to <code>ws://${host}/</code> and send these two frames:</p>
<pre>{"type":"join","agent_id":"${agent}"${tokenRequired ? ',"token":"YOUR_TOKEN"' : ''}}
{"type":"message","content":"hello"}</pre>
<h2>2. Run ${team ? 'a team' : 'an agent'} and watch it</h2>
<pre>curl -N${auth} http://${host}/${team ? `teams/${team}` : `agents/${agent}`}/runs \\
  -d message='Tell me a story' -d background=true</pre>
<p>Cut the connection and take it up where it was: <code>POST .../runs/RUN_ID/resume</code> with <code>last_event_index</code>.</p>
<h2>3. ${push ? 'Publish to a channel' : 'Switch channels on'}</h2>
${
  push
    ? html`<p>Connect two clients to <code>ws://${host}/ws</code>; one subscribes, the other publishes:</p>
<pre>{"type":"channel.subscribe","channel":"news"}
{"type":"channel.publish","channel":"news","data":{"hello":"world"}}</pre>`
    : html`<pre>continuo serve --push</pre>`
}
<p class="muted"><a href="${prefix}/info">/info</a> · <a href="${prefix}/health">/health</a> · <a href="${prefix}/ready">/ready</a> · <a href="${prefix}/live">/live</a></p>
</body>
</html>`);
  });
  return pages;
}
