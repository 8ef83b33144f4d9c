import { expect, it } from 'vitest';
import { createRunWorld } from '../../test/context.ts';
import { linesOf } from '../../test/members.ts';
import { clerkAgent } from './agents.ts';

it('R-22 the clerk, when its server died, still waits for the answer to its question', async () => {
  const world = createRunWorld();
  await world.start(clerkAgent, 'tea').done;
  const again = world.start(clerkAgent, 'tea');
  await again.done;
  expect(linesOf(again.events)).toEqual(['text.delta "I can do that: tea. May I? "']);
  world.answer('errand', true);
  const third = world.resume(clerkAgent, 'tea');
  await third.done;
  expect(linesOf(third.events)).toEqual(['text.delta "Done: tea."']);
});
