import { defineAgent, defineTool } from '@continuo/agents';
import {
  createGateway,
  createMemoryStore,
  type Records,
  type Store,
  StoreError,
  systemClock,
  systemRandom,
} from '@continuo/server';
import { expect, it, vi } from 'vitest';
import { z } from 'zod';
import { openModelEndpoint } from './model-endpoint.ts';
import { watch } from './viewer.ts';
import { until } from './waiting.ts';

const LEASE = { leaseMs: 600, renewMs: 200 };

/** The store as a server sees it whose network is cut: from then on no record is read and nothing written. */
function cuttable(store: Store): { readonly store: Store; cut(): void; mend(): void } {
  let isCut = false;
  const guard = <Args extends unknown[], T>(call: (...args: Args) => Promise<T>) => {
    return async (...args: Args): Promise<T> => {
      if (isCut) throw new StoreError('unavailable', 'cut');
      return call(...args);
    };
  };
  const { logs, records } = store;
  const cutRecords: Records = {
    get: guard(records.get),
    put: guard(records.put),
    remove: guard(records.remove),
    list: guard(records.list),
  };
  return {
    store: { ...store, logs: { ...logs, append: guard(logs.append) }, records: cutRecords },
    cut() {
      isCut = true;
    },
    mend() {
      isCut = false;
    },
  };
}

it('L-9 an agent that restarts goes on after its last step on another server, and calls no finished tool again', async () => {
  let runs = 0;
  const note = defineTool({
    name: 'note',
    description: 'Notes something.',
    input: z.object({}),
    run: () => `note ${++runs}`,
  });
  const endpoint = await openModelEndpoint((request) => {
    const [first, second] = endpoint.requests;
    if (request === first) {
      request.say('Noting.');
      const call = { index: 0, id: 'c1', type: 'function', function: { name: 'note', arguments: '{}' } };
      request.event({ choices: [{ index: 0, delta: { tool_calls: [call] }, finish_reason: 'tool_calls' }] });
      return request.end();
    }
    request.say('Noted');
    if (request === second) return; // the server that asked dies here
    request.say('.');
    request.finish();
  });
  vi.stubEnv('OPENAI_BASE_URL', endpoint.url);
  const agents = [
    defineAgent({
      id: 'a',
      name: 'A',
      instructions: 'Be brief.',
      model: 'm-1',
      tools: [note],
      onInterrupt: 'restart',
    }),
  ];
  const store = createMemoryStore({ clock: systemClock, random: systemRandom });
  const dying = cuttable(store);
  const report = (): void => {};
  const one = createGateway({ agents, store: dying.store, lease: LEASE, drainMs: 0, report });
  const two = createGateway({ agents, store, lease: LEASE, drainMs: 0, report });
  const { url } = await two.listen({ port: 0 });
  try {
    const asker = watch({ url: (await one.listen({ port: 0 })).url, agentId: 'a', reconnect: false });
    await asker.client.connect();
    await asker.client.send('note this');
    const { sessionId } = asker.client;
    if (sessionId === null) throw new Error('no session');
    const viewer = watch({ url, agentId: 'a' });
    await viewer.client.resume({ sessionId, cursor: 0 });
    await until('the second answer began', 10_000, () =>
      viewer.events.some(
        (event) => event.type === 'token_stream' && String(event.data.content).includes('Noted'),
      ),
    );
    dying.cut();
    asker.client.disconnect();
    await until('the final answer', 20_000, () => viewer.events.some(({ type }) => type === 'response'));

    const final = viewer.events.find(({ type }) => type === 'response');
    expect(final?.data).toMatchObject({
      content: 'Noting.\n\nNoted.',
      outcome: { status: 'ok' },
      attempt: 2,
    });
    expect(runs).toBe(1);
    expect(endpoint.requests).toHaveLength(3);
    const second = viewer.events.flatMap(({ type, data }) =>
      data && 'attempt' in data && data.attempt === 2 ? [[type, data]] : [],
    );
    expect(second).toMatchObject([
      ['stream_error', {}],
      ['token_stream', { content: 'Noting.' }],
      ['tool_call_stream', { tool_call: { id: 'c1' } }],
      ['tool_result_stream', { tool_call_id: 'c1', result: 'note 1' }],
      ['token_stream', {}],
      ['stream_end', { content: 'Noting.\n\nNoted.' }],
      ['response', {}],
    ]);
    viewer.client.disconnect();
  } finally {
    dying.mend();
    await two.close();
    await one.close();
    await endpoint.close();
    vi.unstubAllEnvs();
  }
});
