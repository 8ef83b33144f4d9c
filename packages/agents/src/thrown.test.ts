import { expect, it } from 'vitest';
import { createRunWorld } from '../test/context.ts';
import { agentOf, linesOf } from '../test/members.ts';
import { ModelError } from './model-error.ts';
import { createTeam } from './team.ts';
import { errorOf, sentenceOf } from './thrown.ts';

const unseen = (): never => {
  throw new Error('You cannot look.');
};
const ODD = Object.assign(new ModelError('x'), { message: { code: 5 } });
const PROXY = new Proxy({}, { get: unseen, getPrototypeOf: unseen });

it.each<[string, unknown, string]>([
  ['a text', 'no', 'no'],
  ['nothing', undefined, 'undefined'],
  ['an object without a prototype', Object.create(null), 'What was thrown has no words.'],
  ['an error whose message is an object', ODD, 'ModelError: [object Object]'],
  ['a proxy that throws', PROXY, 'What was thrown has no words.'],
])('%s has a sentence, and an error with a text', (_what, thrown, sentence) => {
  expect(sentenceOf(thrown)).toBe(sentence);
  expect(errorOf(thrown).message).toBe(sentence);
});

it('an error stays the one it is', () => {
  const error = new RangeError();
  expect(errorOf(error)).toBe(error);
  expect(sentenceOf(error)).toBe('RangeError');
});

it.each([
  ['an error whose message is an object', ODD],
  ['a proxy that throws', PROXY],
])('a member that throws %s fails, and the others go on', async (_what, thrown) => {
  const bad = agentOf('bad', async function* () {
    yield { type: 'text.delta', text: 'x' };
    throw thrown;
  });
  const good = agentOf('good', async function* () {
    yield { type: 'text.delta', text: 'fine' };
  });
  const team = createTeam(
    { id: 't', name: 'T', mode: 'broadcast', members: [bad, good] },
    { env: {}, now: () => 0 },
  );
  const run = createRunWorld().start(team);
  await run.done;
  expect(linesOf(run.events).at(-1)).toBe(
    String.raw`text.completed "BAD failed: The agent \"bad\" failed. The server has noted why.\n\nGOOD:\nfine"`,
  );
});
