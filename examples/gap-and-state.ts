import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { echoAgent } from '@continuo/agents';
import { GatewayClient } from '@continuo/client';
import { createGateway, openStore } from '@continuo/server';

/** Gap and state callbacks: a client is cut off for so long that the server keeps less than it missed. */

const retention = { session: { maxEntries: 12 } };
const store = await openStore('memory');
const gateway = createGateway({ agents: [echoAgent], store, retention });
const { url } = await gateway.listen({ port: 0 });
const door = createServer(); // the client's own way in, which can be shut
gateway.attach(door, { path: '/' });
const shut = new Set<() => void>([() => door.close()]);
door.on('connection', (socket) => shut.add(() => socket.destroy()));
await new Promise<void>((resolve) => door.listen(0, '127.0.0.1', resolve));
const { port } = door.address() as AddressInfo;

const gaps: number[][] = [];
const states: string[] = [];
const client = new GatewayClient({
  url: `ws://127.0.0.1:${port}`,
  agentId: 'echo',
  backoff: { initialMs: 20, maxMs: 50 },
  onGap(expected, received) {
    console.log(`Gap detected: expected ${expected}, got ${received}`);
    gaps.push([expected, received]);
  },
  onStateChange: (state) => states.push(state),
});
const events = client.events();
await client.connect();
assert.ok(client.position);

for (const close of shut) close();
const other = new GatewayClient({ url, agentId: 'echo' });
await other.resume(client.position);
for (const text of ['one', 'two', 'three']) {
  const answer = other.events();
  await other.send(text);
  for await (const event of answer) if (event.type === 'response') break;
}
door.listen(port, '127.0.0.1');

for await (const event of events) {
  if (event.type !== 'snapshot') continue; // in place of the lost events: the session as it stands
  assert.equal(event.data?.messages.at(-1)?.content, 'echo: three');
  break;
}
console.log(`Connection states: ${states.join(', ')}`);
assert.deepEqual(states, ['connecting', 'connected', 'reconnecting', 'connected']);
assert.deepEqual(gaps, [[1, other.cursor + 1]]);

for (const each of [client, other]) each.disconnect();
await gateway.close();
await store.close();
door.close();
