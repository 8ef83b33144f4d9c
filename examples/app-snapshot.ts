import assert from 'node:assert/strict';
import { echoAgent } from '@continuo/agents';
import { GatewayClient } from '@continuo/client';
import { createGateway, openStore } from '@continuo/server';

/** An application that keeps a state of its own loads that on a large gap; a small one it ignores. */

const store = await openStore('memory');
const gateway = createGateway({ agents: [echoAgent], store, retention: { session: { maxEntries: 12 } } });
const { url } = await gateway.listen({ port: 0 });

const app = {
  saved: [] as string[], // what its database has
  shown: [] as string[],
  async loadSnapshot(): Promise<void> {
    app.shown = [...app.saved];
  },
};

const gaps: number[] = [];
const loading: Promise<void>[] = [];
const viewer = new GatewayClient({
  url,
  agentId: 'echo',
  onGap(expected, received) {
    const missed = received - expected;
    console.log(`${missed} events are gone: ${missed > 100 ? 'loading the snapshot' : 'going on'}`);
    gaps.push(missed);
    if (missed > 100) loading.push(app.loadSnapshot());
  },
});
await viewer.connect();
assert.ok(viewer.position);
const writer = new GatewayClient({ url, agentId: 'echo' });
await writer.resume(viewer.position);

/** The viewer is away while the writer asks this often. */
async function missQuestions(count: number): Promise<void> {
  viewer.disconnect();
  for (let index = 0; index < count; index++) {
    const events = writer.events();
    app.saved.push(await writer.send('more'));
    for await (const event of events) if (event.type === 'response') break;
  }
  const events = viewer.events();
  await viewer.connect();
  for await (const event of events) if (event.type === 'snapshot') break;
}

await missQuestions(4);
assert.equal(loading.length, 0);
await missQuestions(30);
await Promise.all(loading);
assert.deepEqual(gaps, [4 * 6, 30 * 6]); // an answer is six events
assert.deepEqual(app.shown, app.saved);

for (const client of [viewer, writer]) client.disconnect();
await gateway.close();
await store.close();
