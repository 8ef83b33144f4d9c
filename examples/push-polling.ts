import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PushClient } from '@continuo/client';
import { createGateway, openStore } from '@continuo/server';

/** Behind a proxy that refuses WebSockets the client polls; where they are let through again, it goes back. */

const store = await openStore('memory');
const gateway = createGateway({ agents: [], store, push: true });
let isRefusing = true;
const proxy = createServer((_request, response) => response.writeHead(404).end());
proxy.on('upgrade', (_request, socket) => {
  if (isRefusing) socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
});
const inner = createServer();
gateway.attach(inner, { path: '/' });
proxy
  .removeAllListeners('request')
  .on('request', (request, response) => inner.emit('request', request, response));
proxy.on('upgrade', (request, socket, head) => {
  if (!isRefusing) inner.emit('upgrade', request, socket, head);
});
await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
const { port } = proxy.address() as AddressInfo;

const client = new PushClient({ url: `ws://127.0.0.1:${port}/ws`, clientId: 'office', probeMs: 100 });
const got: unknown[] = [];
await client.connect();
await client.subscribe('news', async ({ data }) => void got.push(data));
const transport = (): string | null => client.transportName;
assert.equal(transport(), 'polling');

for (let number = 1; number <= 10; number++) {
  await gateway.channels.publish('news', number);
  if (number === 5) isRefusing = false;
  await new Promise((resolve) => setTimeout(resolve, 50));
}
while (transport() !== 'websocket' || got.length < 10)
  await new Promise((resolve) => setTimeout(resolve, 20));
console.log('back on a WebSocket, with', got);
assert.deepEqual(got, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);

client.disconnect();
await gateway.close();
proxy.closeAllConnections();
proxy.close();
await store.close();
