import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { counterAgent, reserverAgent } from '@continuo/agents/demo';
import { afterEach, expect, it, vi } from 'vitest';
import { type ModelGateway, openModelGateway } from './model-gateway.ts';

const cleanups: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  vi.unstubAllEnvs();
  await Promise.all(cleanups.splice(0).map((cleanup) => cleanup()));
});

async function open(agent: Parameters<typeof openModelGateway>[0]): Promise<ModelGateway> {
  const gateway = await openModelGateway(agent);
  cleanups.push(() => gateway.close());
  return gateway;
}

it('R-16 the demo agent reserver reserves when a person allowed it', async () => {
  const gateway = await open(reserverAgent);
  await gateway.send('Porto for 3 nights');
  await gateway.approve();
  const { content, status } = await gateway.final(1);
  expect(status).toBe('ok');
  expect(content).toMatch(/Reserved: Porto for 3 nights\. Your booking is BK-\w{6}\.$/);
});

it('R-22 the demo agent counter writes a line a call, under the id of its run', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'continuo-'));
  cleanups.push(() => rm(folder, { recursive: true }));
  const file = join(folder, 'counter.txt');
  vi.stubEnv('CONTINUO_COUNTER_FILE', file);
  vi.stubEnv('CONTINUO_COUNTER_MS', '1');
  const gateway = await open(counterAgent);
  expect(await gateway.ask('count to 3')).toMatchObject({ content: 'Counted to 3.', status: 'ok' });
  expect(await gateway.ask('count to 2')).toMatchObject({ content: 'Counted to 2.', status: 'ok' });
  const lines = (await readFile(file, 'utf8')).trim().split('\n');
  expect(lines).toHaveLength(5);
  expect(new Set(lines).size).toBe(5);
  expect(lines.map((line) => line.split('.').at(-1))).toEqual(['1', '2', '3', '1', '2']);
});
