import assert from 'node:assert/strict';
import { echoAgent } from '@continuo/agents';
import { GatewayClient } from '@continuo/client';
import { createGateway, openStore } from '@continuo/server';

/** The simplest use: connect to an agent, say something, read the events. */

const store = await openStore('memory');
const gateway = createGateway({ agents: [echoAgent], store });
const { url } = await gateway.listen({ port: 0 });

const client = new GatewayClient({ url, agentId: 'echo' });
const events = client.events();
await client.connect();
await client.send('hello there');

const types: string[] = [];
let answer: unknown;
for await (const event of events) {
  console.log(`Event: ${event.type}, data:`, event.data);
  types.push(event.type);
  if (event.type === 'token_stream') assert.equal(event.data.cursor, event.sequence);
  if (event.type !== 'response') continue;
  answer = event.data.content;
  break;
}

assert.equal(answer, 'echo: hello there');
assert.deepEqual(types, [
  'message',
  'status',
  'token_stream',
  'token_stream',
  'token_stream',
  'stream_end',
  'response',
]);

client.disconnect();
await gateway.close();
await store.close();
