import { expect, it } from 'vitest';
import { createRunWorld, type Run, type RunWorld } from '../../test/context.ts';
import { linesOf } from '../../test/members.ts';
import { contentWorkflow } from './workflow.ts';

async function playedOut(world: RunWorld, run: Run): Promise<Run> {
  await world.clock.advance(10_000);
  await run.done;
  return run;
}

it('the content workflow researches, writes and reviews in about four seconds, the same for the same message', async () => {
  const world = createRunWorld();
  const run = await playedOut(world, world.start(contentWorkflow, 'bridges'));
  const steps = linesOf(run.events).filter((line) => /^step|^\S+ run/.test(line));
  expect(steps.map((line) => line.split(' ').slice(0, 3).join(' '))).toEqual([
    'step.started 0 research',
    '.research@research run.started',
    '.research@research run.ended completed',
    'step.completed 0 research',
    'step.started 1 write',
    '.write@write run.started',
    '.write@write run.ended completed',
    'step.completed 1 write',
    'step.started 2 review',
    '.review@review run.started',
    '.review@review run.ended completed',
    'step.completed 2 review',
  ]);
  const took = world.sleeps.reduce((sum, ms) => sum + ms, 0);
  expect(took).toBeGreaterThan(3_000);
  expect(took).toBeLessThan(5_000);
  const other = createRunWorld();
  const again = await playedOut(other, other.start(contentWorkflow, 'bridges'));
  expect(again.events).toEqual(run.events);
});
