import assert from 'node:assert/strict';
import { PushClient, TimeoutError } from '@continuo/client';
import { createGateway, openStore } from '@continuo/server';

/** One message, and no longer than so long: `waitFor` subscribes by itself. */

const store = await openStore('memory');
const gateway = createGateway({ agents: [], store, push: true });
const { port } = await gateway.listen({ port: 0 });

const client = new PushClient({ url: `ws://127.0.0.1:${port}/ws` });
await client.connect();

const waiting = client.waitFor('notifications', { timeoutMs: 5_000 });
while ((await gateway.presence.list('notifications')).total === 0) await new Promise(setImmediate);
await gateway.channels.publish('notifications', 'dinner is ready');
const message = await waiting;
console.log(`Got notification: ${message.data}`);
assert.equal(message.data, 'dinner is ready');

await assert.rejects(client.waitFor('notifications', { timeoutMs: 50 }), TimeoutError);
console.log('No notification received within 50 ms');

client.disconnect();
await gateway.close();
await store.close();
