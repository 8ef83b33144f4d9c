import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { echoAgent } from '@continuo/agents';
import { GatewayClient } from '@continuo/client';
import { createGateway, openStore } from '@continuo/server';

/** Back-off tuning: on a local network a server that is back should be found soon. */

const store = await openStore('memory');
const gateway = createGateway({ agents: [echoAgent], store });
const server = createServer();
gateway.attach(server, { path: '/' });

// The first four attempts are cut.
const attempts: number[] = [];
server.on('connection', (socket) => {
  if (attempts.push(performance.now()) <= 4) socket.destroy();
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const { port } = server.address() as AddressInfo;

const client = new GatewayClient({
  url: `ws://127.0.0.1:${port}`,
  agentId: 'echo',
  reconnect: true,
  backoff: { initialMs: 40, maxMs: 100, multiplier: 2, jitter: 0.1 },
});
await client.connect();

const waits = attempts.slice(1).map((at, index) => Math.round(at - (attempts[index] ?? 0)));
console.log(`Connected at attempt ${attempts.length}, after waits of ${waits.join(', ')} ms`);
assert.equal(client.state, 'connected');
assert.equal(waits.length, 4);
// 40, 80, 100, 100: each up to a tenth shorter by chance, and never above 100 but for the way there and back.
for (const [index, least] of [36, 72, 90, 90].entries()) assert.ok((waits[index] ?? 0) >= least - 2);

client.disconnect();
await gateway.close();
await store.close();
server.close();
