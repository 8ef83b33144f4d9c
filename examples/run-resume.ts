import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { demoAgents } from '@continuo/agents';
import { createGateway, openStore } from '@continuo/server';

/** A team's run is streamed, dropped after six events and resumed three seconds later: raw HTTP, no client of ours. */

const EVENTS_BEFORE_DISCONNECT = 6;
const DISCONNECT_MS = 3_000;
type RunEvent = Record<string, unknown>;
const META: readonly unknown[] = ['catch_up', 'subscribed', 'replay'];

const store = await openStore('memory');
const gateway = createGateway({ agents: demoAgents, store });
const { url } = await gateway.listen({ port: 0 });

/** POSTs a form and reads the events of the answer, at most so many; then it hangs up. */
async function readEvents(path: string, form: Record<string, string>, most = 100_000): Promise<RunEvent[]> {
  const response = await fetch(`${url}${path}`, { method: 'POST', body: new URLSearchParams(form) });
  assert.ok(response.ok && response.body, `${path}: ${response.status}`);
  const events: RunEvent[] = [];
  let buffer = '';
  for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
    const blocks = `${buffer}${text}`.split('\n\n');
    buffer = blocks.pop() ?? '';
    for (const line of blocks.flatMap((block) => block.split('\n'))) {
      if (line.startsWith('data: ')) events.push(JSON.parse(line.slice('data: '.length)));
      if (events.length === most) return events; // leaving the loop cancels the response
    }
  }
  return events;
}

const [team] = await (await fetch(`${url}/teams`)).json();
const message = 'Tell me a detailed story about a brave knight. Make it at least 5 paragraphs.';
const form = { message, stream: 'true', background: 'true' };
const before = await readEvents(`/teams/${team.id}/runs`, form, EVENTS_BEFORE_DISCONNECT);
const { run_id, session_id } = before[0] ?? {};
const last = before.at(-1)?.event_index;
console.log(`dropped: run_id=${run_id}, last_event_index=${last}`);

await sleep(DISCONNECT_MS);
const at = { last_event_index: String(last), session_id: String(session_id) };
const resumed = await readEvents(`/teams/${team.id}/runs/${run_id}/resume`, at);
const after = resumed.filter(({ event }) => !META.includes(event));
console.log(`before: ${before.length} events, after: ${after.length}`);

const all = [...before, ...after];
const indexes = all.map(({ event_index }) => event_index);
assert.deepEqual(indexes, [...all.keys()], 'no hole, no double');
assert.equal(all.at(-1)?.event, 'TeamRunCompleted');
const stored = await (await fetch(`${url}/teams/${team.id}/runs/${run_id}?session_id=${session_id}`)).json();
assert.deepEqual(all, stored.events);

await gateway.close();
await store.close();
