import assert from 'node:assert/strict';
import { once } from 'node:events';
import { GatewayClient, VersionUnsupportedError } from '@continuo/client';
import { WebSocketServer } from 'ws';

/** Version mismatch: a permanent error. Alert whoever can update the older side, and do not try again. */

// A server that is too new for this client.
const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
let connections = 0;
server.on('connection', (socket) => {
  connections++;
  socket.on('message', () => {
    const versions = { server_min_version: 2, server_max_version: 3 };
    const message = 'This server speaks versions 2 to 3.';
    socket.send(JSON.stringify({ type: 'error', code: 'version_unsupported', message, ...versions }));
    socket.close(4426);
  });
});
await once(server, 'listening');
const address = server.address();
assert.ok(typeof address === 'object' && address);

const alerts: string[] = [];
const client = new GatewayClient({
  url: `ws://127.0.0.1:${address.port}`,
  agentId: 'echo',
  backoff: { initialMs: 10 },
});
try {
  await client.connect();
  assert.fail('it connected');
} catch (error) {
  if (!(error instanceof VersionUnsupportedError)) throw error;
  alerts.push(`Protocol mismatch: the server speaks ${error.serverMinVersion} to ${error.serverMaxVersion}`);
}
console.log(alerts.join('\n'));

await new Promise((resolve) => setTimeout(resolve, 100)); // ten times the delay: it would have tried again
assert.deepEqual(alerts, ['Protocol mismatch: the server speaks 2 to 3']);
assert.equal(connections, 1);
assert.equal(client.state, 'disconnected');

server.close();
