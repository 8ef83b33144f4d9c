import { demoAgents, echoAgent } from '@continuo/agents';
import { expect, it } from 'vitest';
import { agentsOf } from './agents.ts';

const assistant = { ...echoAgent, id: 'assistant', demo: false };
const idsOf = (...args: Parameters<typeof agentsOf>): readonly string[] =>
  agentsOf(...args).map(({ id }) => id);
const demos = demoAgents.map(({ id }) => id);

it('the demos serve where nothing is configured', () => {
  expect(idsOf(null, {}, () => null)).toEqual(demos);
});

it('the assistant comes first where a model is configured', () => {
  const environment = { CONTINUO_MODEL: 'm' };
  expect(idsOf(null, environment, (given) => (given === environment ? assistant : null))).toEqual([
    'assistant',
    ...demos,
  ]);
});

it('agents that are configured replace them all', () => {
  expect(idsOf([{ ...echoAgent, id: 'mine' }], {}, () => assistant)).toEqual(['mine']);
});
