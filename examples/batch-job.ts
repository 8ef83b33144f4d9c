import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { ConnectionError, GatewayClient } from '@continuo/client';

/** A batch job does not wait for ever for a gateway that is dead: it fails soon, and can be put in the queue again. */

// A port on which nobody listens.
const server = createServer().listen(0, '127.0.0.1');
await once(server, 'listening');
const address = server.address();
assert.ok(typeof address === 'object' && address);
const { port } = address;
server.close();

const queue = ['report for May'];

async function runJob(job: string): Promise<void> {
  const client = new GatewayClient({
    url: `ws://127.0.0.1:${port}`,
    agentId: 'batch-processor',
    maxReconnectAttempts: 3,
    backoff: { initialMs: 20, multiplier: 2, jitter: 0 },
  });
  await client.connect();
  await client.send(job);
}

const startedAt = performance.now();
const job = queue.shift() ?? '';
try {
  await runJob(job);
  assert.fail('it ran');
} catch (error) {
  if (!(error instanceof ConnectionError)) throw error;
  console.log(`Not done, goes back to the queue: ${error.message}`);
  queue.push(job);
}

const tookMs = performance.now() - startedAt;
assert.deepEqual(queue, ['report for May']);
assert.ok(tookMs >= 20 + 40 + 80 - 5, `three more attempts, after 20, 40 and 80 ms: ${tookMs} ms`);
assert.ok(tookMs < 10_000);
