import assert from 'node:assert/strict';
import { PushClient, type PushMessage } from '@continuo/client';
import { createGateway, openStore } from '@continuo/server';

/** Publish and subscribe: what is published reaches every subscriber at least once, and each handler once. */

const store = await openStore('memory');
const gateway = createGateway({ agents: [], store, push: true });
const { port } = await gateway.listen({ port: 0 });
const url = `ws://127.0.0.1:${port}/ws`;

const subscriber = new PushClient({ url, clientId: 'dashboard' });
await subscriber.connect();
const received = new Promise<PushMessage>((resolve) => {
  subscriber.on('channel_message', async (message) => {
    console.log(`Event on ${message.channel}:`, message.data);
    resolve(message); // it is acked when this handler is done, and comes again when it throws
  });
});
await subscriber.subscribe('events');

const publisher = new PushClient({ url });
await publisher.connect();
const { sequence } = await publisher.publish('events', { type: 'user_login', userId: 123 });

const message = await received;
assert.deepEqual(message.data, { type: 'user_login', userId: 123 });
assert.deepEqual([message.sequence, message.attempt], [sequence, 1]);

// The program around the gateway needs no client.
await gateway.channels.publish('events', { type: 'user_logout', userId: 123 });
const { messages } = await gateway.channels.history('events');
assert.equal(messages.length, 2);

publisher.disconnect();
subscriber.disconnect();
await subscriber.waitClosed();
await gateway.close();
await store.close();
