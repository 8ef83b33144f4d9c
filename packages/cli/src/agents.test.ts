import { demoAgents, echoAgent } from '@continuo/agents/demo';
import { expect, it } from 'vitest';
import { agentsOf } from './agents.ts';

const assistant = { ...echoAgent, id: 'assistant', demo: false };
const idsOf = async (...args: Parameters<typeof agentsOf>): Promise<readonly string[]> =>
  (await agentsOf(...args)).map(({ id }) => id);
const demos = demoAgents.map(({ id }) => id);

it('the demos serve where nothing is configured', async () => {
  expect(await idsOf(null, {}, () => null)).toEqual(demos);
});

it('the assistant comes first where a model is configured', async () => {
  const environment = { CONTINUO_MODEL: 'm' };
  expect(await idsOf(null, environment, (given) => (given === environment ? assistant : null))).toEqual([
    'assistant',
    ...demos,
  ]);
});

it('agents that are configured replace them all', async () => {
  expect(await idsOf([{ ...echoAgent, id: 'mine' }], {}, () => assistant)).toEqual(['mine']);
});

it('the assistant is the one on the model that the environment names', async () => {
  const ids = await idsOf(null, { CONTINUO_MODEL: 'm', OPENAI_API_KEY: 'k' });
  expect(ids).toEqual(['assistant', ...demos]);
  expect(await idsOf(null, {})).toEqual(demos);
});
