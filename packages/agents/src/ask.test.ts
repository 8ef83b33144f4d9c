import { APICallError } from 'ai';
import { describe, expect, it } from 'vitest';
import { createRunWorld } from '../test/context.ts';
import { type Answer, finish, NEVER, scripted, text } from '../test/model.ts';
import { type AgentOptions, createAgent } from './agent.ts';

const NOW = Date.UTC(2026, 0, 1, 12, 0, 0);
const agentOf = (options: Partial<AgentOptions>): ReturnType<typeof createAgent> =>
  createAgent({ id: 'a', name: 'A', instructions: '', ...options }, { env: {}, now: () => NOW });

function refusal(statusCode: number | undefined, headers: Record<string, string> = {}): APICallError {
  return new APICallError({
    message: 'no',
    url: 'http://127.0.0.1/v1',
    requestBodyValues: {},
    responseHeaders: headers,
    ...(statusCode === undefined ? { isRetryable: true } : { statusCode }),
  });
}

const HELLO: Answer = [...text('hello'), finish()];

/** Runs to the end, with all the time it asks for. */
async function runOf(
  options: Partial<AgentOptions>,
): Promise<{ world: ReturnType<typeof createRunWorld>; texts: readonly string[]; error: Error | null }> {
  const world = createRunWorld();
  const run = world.start(agentOf(options));
  await world.clock.advance(600_000);
  const error = await run.done.then(
    () => null,
    (reason: Error) => reason,
  );
  const texts = run.events.flatMap((event) => (event.type === 'text.delta' ? [event.text] : []));
  return { world, texts, error };
}

/** The waits between requests: those of the watch for a stall are 6 s each. */
const waitsOf = ({ sleeps }: { readonly sleeps: readonly number[] }): readonly number[] =>
  sleeps.filter((ms) => ms !== 6_000);

describe('a request that fails before anything came', () => {
  it.each<[string, Error]>([
    ['429', refusal(429)],
    ['500', refusal(500)],
    ['503', refusal(503)],
    ['a network error', refusal(undefined)],
    ['a cut connection', new TypeError('terminated')],
  ])('with %s is made again twice, after 1 s and 4 s', async (_what, failure) => {
    const { world, texts, error } = await runOf({ model: scripted(failure, failure, HELLO) });
    expect([error, texts, waitsOf(world)]).toEqual([null, ['hello'], [1_000, 4_000]]);
  });

  it('three times fails the run', async () => {
    const model = scripted(refusal(503), refusal(503), refusal(503), HELLO);
    const { texts, error } = await runOf({ model });
    expect(texts).toEqual([]);
    expect(error?.message).toBe('The model endpoint failed (503): no. Send the message again later.');
    expect(model.doStreamCalls).toHaveLength(3);
  });

  it.each([400, 401, 403, 404, 413])('with %i is not made again', async (status) => {
    const model = scripted(refusal(status), HELLO);
    const { error } = await runOf({ model });
    expect(error?.message).toContain(`(${status})`);
    expect(model.doStreamCalls).toHaveLength(1);
  });

  it.each<[string, Record<string, string>, number]>([
    ['in seconds', { 'retry-after': '7' }, 7_000],
    ['as a date', { 'retry-after': new Date(NOW + 9_000).toUTCString() }, 9_000],
    [
      "as a date by the endpoint's own clock",
      { 'retry-after': new Date(NOW + 9_000).toUTCString(), date: new Date(NOW + 4_000).toUTCString() },
      5_000,
    ],
    ['as a date that has passed', { 'retry-after': new Date(NOW - 9_000).toUTCString() }, 0],
    ['in words', { 'retry-after': 'soon' }, 1_000],
    ['of 30 s', { 'retry-after': '30' }, 30_000],
  ])('waits as Retry-After says %s', async (_what, headers, ms) => {
    const { world, texts } = await runOf({ model: scripted(refusal(429, headers), HELLO) });
    expect([texts, waitsOf(world)]).toEqual([['hello'], [ms]]);
  });

  it('with a Retry-After above 30 s is not made again, and the run says when', async () => {
    const { world, error } = await runOf({ model: scripted(refusal(429, { 'retry-after': '300' }), HELLO) });
    expect(error?.message).toBe(
      'The model endpoint takes no more requests for now (429). Send the message again in 300 s.',
    );
    expect(waitsOf(world)).toEqual([]);
  });

  it('is not made again when the run is stopped in between', async () => {
    const model = scripted(refusal(429), HELLO);
    const world = createRunWorld();
    const run = world.start(agentOf({ model }));
    await world.clock.settle();
    world.stop();
    await expect(run.done).rejects.toThrow('stopped');
    await world.clock.advance(60_000);
    expect(model.doStreamCalls).toHaveLength(1);
  });
});

describe('an answer that was cut at its longest', () => {
  it('is an answer, and the server is told once', async () => {
    const model = scripted([...text('half of'), finish('length')]);
    const { world, texts, error } = await runOf({ model });
    expect([texts, error]).toEqual([['half of'], null]);
    expect(world.reports.map(String)).toEqual([
      'Error: The answer of the model "scripted" was cut at its longest (finish_reason "length").',
    ]);
    await world.start(agentOf({ model })).done; // reads it back
    expect(world.reports).toHaveLength(1);
  });
});

describe('an answer that breaks off', () => {
  it('fails the run; what was said stays said', async () => {
    const model = scripted([...text('half of'), new Error('upstream gone')], HELLO);
    const { texts, error } = await runOf({ model });
    expect(texts).toEqual(['half of']);
    expect(error?.message).toBe("The model's answer broke off: upstream gone. Send the message again.");
    expect(model.doStreamCalls).toHaveLength(1);
  });

  it('and says no more than that fails the run', async () => {
    const { texts, error } = await runOf({ model: scripted([...text('half'), finish('error')]) });
    expect([texts, error?.message]).toEqual([['half'], expect.stringContaining('answer broke off')]);
  });

  it('before its first word is asked for again', async () => {
    const { texts, error } = await runOf({ model: scripted([new TypeError('terminated')], [], HELLO) });
    expect([texts, error]).toEqual([['hello'], null]);
  });
});

describe('a model that sends nothing any more', () => {
  it.each<[string, Answer, readonly string[]]>([
    ['from the start', [NEVER], []],
    ['in the middle', [...text('half'), NEVER], ['half']],
  ])('%s fails the run after stallMs', async (_what, answer, said) => {
    const model = scripted(answer, HELLO);
    const world = createRunWorld();
    const run = world.start(agentOf({ model, stallMs: 20_000 }));
    await world.clock.advance(19_999);
    let over = false;
    run.done
      .catch(() => {})
      .finally(() => {
        over = true;
      });
    await world.clock.settle();
    expect(over).toBe(false);
    await world.clock.advance(2_001);
    await expect(run.done).rejects.toThrow('The model endpoint sent nothing for 20 s.');
    expect(run.events.flatMap((event) => ('text' in event ? [event.text] : []))).toEqual(said);
    expect(model.doStreamCalls[0]?.abortSignal?.aborted).toBe(true);
    await world.clock.advance(60_000);
    expect(world.clock.timers).toBe(0);
  });

  it('is not one whose words we are slow to take', async () => {
    const model = scripted([...text(...Array.from({ length: 200 }, (_, n) => `${n} `)), finish()]);
    const world = createRunWorld();
    const outputs = agentOf({ model }).run(world.context())[Symbol.asyncIterator]();
    let count = 0;
    for (let next = await outputs.next(); !next.done; next = await outputs.next()) {
      if (++count === 100) await world.clock.advance(600_000);
    }
    expect(count).toBe(201);
  });
});
