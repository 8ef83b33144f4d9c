import assert from 'node:assert/strict';
import { PushClient } from '@continuo/client';
import { createGateway, openStore } from '@continuo/server';

/** Who is there: a status, a list, and who comes and goes. */

const store = await openStore('memory');
const gateway = createGateway({ agents: [], store, push: true });
const { port } = await gateway.listen({ port: 0 });
const url = `ws://127.0.0.1:${port}/ws`;

const ann = new PushClient({ url, clientId: 'ann' });
await ann.connect();
await ann.setStatus('available', { role: 'agent' });
await ann.subscribe('lobby');
const joins = ann.on('presence_join');
const leaves = ann.on('presence_leave');

const bob = new PushClient({ url, clientId: 'bob' });
await bob.connect();
await bob.subscribe('lobby');
const joined = await joins.next();
assert.equal(joined.value?.data.client_id, 'bob');

bob.on('presence_list', ({ clients }) => {
  for (const { client_id: id, status } of clients) console.log(`${id}: ${status}`);
});
const there = await bob.getPresence('lobby');
assert.deepEqual(
  new Map(there.map(({ client_id: id, status }) => [id, status])),
  new Map([
    ['ann', 'available'],
    ['bob', 'online'],
  ]),
);

bob.disconnect();
const left = await leaves.next();
assert.equal(left.value?.data.client_id, 'bob');
assert.equal((await gateway.presence.list('lobby')).total, 1);

ann.disconnect();
await gateway.close();
await store.close();
