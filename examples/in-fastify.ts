import assert from 'node:assert/strict';
import { echoAgent } from '@continuo/agents';
import { GatewayClient } from '@continuo/client';
import { createGateway, openStore } from '@continuo/server';
import { fastify } from 'fastify';

/** The gateway below a path of a Fastify application. */

const store = await openStore('memory');
const gateway = createGateway({ agents: [echoAgent], store, push: true });

const app = fastify();
app.get('/hello', () => 'the application');
app.addHook('preClose', () => gateway.close());
gateway.attach(app.server, { path: '/continuo' });
const url = await app.listen({ port: 0, host: '127.0.0.1' });

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
await app.close();
await store.close();
