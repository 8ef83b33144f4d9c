import assert from 'node:assert/strict';
import { once } from 'node:events';
import { echoAgent } from '@continuo/agents';
import { GatewayClient } from '@continuo/client';
import { createGateway, openStore } from '@continuo/server';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';

/** The gateway below a path of a Hono application. */

const app = new Hono();
app.get('/hello', (c) => c.text('the application'));
const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' });
await once(server, 'listening');

const store = await openStore('memory');
const gateway = createGateway({ agents: [echoAgent], store, push: true });
gateway.attach(server, { path: '/continuo' });

const address = server.address();
assert.ok(typeof address === 'object' && address);
const url = `http://127.0.0.1:${address.port}`;

// The application's own routes are as they were.
assert.equal(await (await fetch(`${url}/hello`)).text(), 'the application');
assert.equal((await fetch(`${url}/nothing`)).status, 404);
assert.equal((await fetch(`${url}/continuo/live`)).status, 200);

const client = new GatewayClient({ url: `${url}/continuo`, agentId: 'echo' });
const events = client.events();
await client.connect();
await client.send('hello');
let answer: unknown;
for await (const event of events) {
  if (event.type !== 'response') continue;
  answer = event.data.content;
  break;
}
console.log(answer);
assert.equal(answer, 'echo: hello');

client.disconnect();
await gateway.close();
await store.close();
server.close();
