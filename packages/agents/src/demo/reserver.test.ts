import { describe, expect, it } from 'vitest';
import { createRunWorld } from '../../test/context.ts';
import { reserverAgent, tripOf } from './reserver.ts';

const textOf = (events: readonly { readonly type: string; readonly text?: string }[]): string =>
  events.map((event) => (event.type === 'text.delta' ? event.text : '')).join('');

describe('the trip of a message', () => {
  it.each([
    ['Porto for 3 nights', 'Porto', 3],
    ['Book a trip to New York, 2 nights please', 'New York', 2],
    ['Reserve me 1 night in São Paulo', 'São Paulo', 1],
    ['to Lisbon with Anna', 'Lisbon', 1],
    ['the seaside for 12 nights', 'the seaside', 12],
    ['Porto for 0 nights', 'Porto', 1],
    ['5 nights', 'anywhere', 5],
    ['x'.repeat(500), 'x'.repeat(80), 1],
  ])('%s', (message, to, nights) => {
    expect(tripOf(message)).toEqual({ to, nights });
  });
});

describe('the demo agent reserver', () => {
  const ARGS = { to: 'Porto', nights: 3 };

  it('R-16 asks before it reserves, and names its booking', async () => {
    const world = createRunWorld();
    const first = world.start(reserverAgent, 'Porto for 3 nights');
    await first.done;
    expect(textOf(first.events)).toBe('I can reserve Porto for 3 nights.');
    expect(first.events.at(-1)).toEqual({
      type: 'approval.requested',
      callId: 'run_1.1',
      name: 'reserve_trip',
      args: ARGS,
    });
    world.answer('run_1.1', true);
    const second = world.resume(reserverAgent, 'Porto for 3 nights');
    await second.done;
    const completed = second.events.find(({ type }) => type === 'tool.completed');
    expect(completed).toMatchObject({ result: { ...ARGS, booking: expect.stringMatching(/^BK-\w{6}$/) } });
    expect(textOf(second.events)).toMatch(/Reserved: Porto for 3 nights\. Your booking is BK-\w{6}\.$/);
    const again = world.start(reserverAgent, 'Porto for 3 nights');
    await again.done;
    expect(textOf(again.events)).toBe(textOf(first.events) + textOf(second.events));
  });

  it('R-16 reserves nothing without leave, and says what it was told', async () => {
    const world = createRunWorld();
    await world.start(reserverAgent, 'Porto for 3 nights').done;
    world.answer('run_1.1', false, 'too far');
    const run = world.resume(reserverAgent, 'Porto for 3 nights');
    await run.done;
    expect(textOf(run.events)).toBe('\n\nI reserved nothing. A person denied this call: too far');
  });

  it('R-21 reserves what it is sent while it runs, too', async () => {
    const world = createRunWorld();
    await world.start(reserverAgent, 'Porto').done;
    world.answer('run_1.1', true);
    world.steers.push({ messageId: 's1', content: 'Lisbon for 2 nights' });
    const run = world.resume(reserverAgent, 'Porto');
    await run.done;
    expect(run.events.at(-1)).toMatchObject({ callId: 'run_1.2', args: { to: 'Lisbon', nights: 2 } });
  });
});
