import assert from 'node:assert/strict';
import { echoAgent } from '@continuo/agents';
import { GatewayClient, PushClient } from '@continuo/client';
import { createGateway, openStore } from '@continuo/server';

/** An agent that answers a channel: alerts come in on one, what the agent says about them goes out on another. */

const store = await openStore('memory');
const gateway = createGateway({ agents: [echoAgent], store, push: true });
const { url, port } = await gateway.listen({ port: 0 });

const agent = new GatewayClient({ url, agentId: 'echo' });
const events = agent.events();
await agent.connect();

/** One question to the agent, and its whole answer. The same id is answered once, however often it is asked. */
async function ask(messageId: string, text: string): Promise<string> {
  await agent.send(text, { messageId });
  for await (const event of events) {
    if (event.type === 'response' && event.data.message_id === messageId) return String(event.data.content);
  }
  throw new Error('the agent is gone');
}

const watcher = new PushClient({ url: `ws://127.0.0.1:${port}/ws`, clientId: 'alerts-agent' });
await watcher.connect();
await watcher.subscribe('alerts', async ({ eventId, data }) => {
  const summary = await ask(eventId, `Summarise this alert: ${data}`);
  await watcher.publish('summaries', { of: eventId, summary }, { eventId: `summary-${eventId}` });
});

const reader = new PushClient({ url: `ws://127.0.0.1:${port}/ws` });
await reader.connect();
const summaries = reader.on('channel_message');
await reader.subscribe('summaries');
await gateway.channels.publish('alerts', 'the disk is full', { eventId: 'alert-1' });

const { value } = await summaries.next();
console.log(value?.data);
assert.deepEqual(value?.data, {
  of: 'alert-1',
  summary: 'echo: Summarise this alert: the disk is full',
});

for (const client of [agent, watcher, reader]) client.disconnect();
await gateway.close();
await store.close();
