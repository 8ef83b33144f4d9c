import { inspect } from 'node:util';
import { APICallError } from 'ai';
import { expect, it } from 'vitest';
import { causeOf } from './cause.ts';

const KEY = 'top "secret" key';

it('a cause tells the log what happened, with its own causes, and shows neither the key nor the conversation', () => {
  const beneath = new Error(`ECONNRESET to http://ann:pass@host with Bearer ${KEY}`);
  const error = new APICallError({
    message: `the key ${KEY} is wrong, and sk-proj-12345678 too`,
    url: `http://127.0.0.1/v1?key=${KEY}`,
    requestBodyValues: { messages: ['a private word'], key: KEY },
    statusCode: 400,
    responseHeaders: { 'x-key': KEY },
    responseBody: JSON.stringify({ error: { message: `no: ${KEY}` } }),
    data: { key: KEY },
    cause: beneath,
  });
  const cause = causeOf(error, [KEY]);
  expect(cause).toMatchObject({
    name: 'AI_APICallError',
    message: 'the key [key] is wrong, and [key] too',
    status: 400,
    response: '{"error":{"message":"no: [key]"}}',
    cause: { message: expect.stringContaining('ECONNRESET to http://[key]@host') },
  });
  expect(cause.stack).toMatch(/^AI_APICallError: the key \[key\] .*\n {4}at /);
  const shown = inspect(cause, { depth: 10 });
  for (const secret of ['secret', 'private word', 'pass@', 'sk-proj']) expect(shown).not.toContain(secret);
});

it.each<[unknown, string]>([
  [{ message: 'overloaded', type: 'overloaded_error' }, '{"message":"overloaded","type":"overloaded_error"}'],
  ['gone', 'gone'],
  [undefined, 'undefined'],
  [{ key: KEY }, '{"key":"[key]"}'],
  [{ n: 1n }, 'something that has no words'],
])('what is no Error is a cause too: %o', (thrown, message) => {
  expect(causeOf(thrown, [KEY])).toMatchObject({ message, status: null });
});

it('causes of causes come to an end', () => {
  const error = new Error('round');
  error.cause = error;
  expect(inspect(causeOf(error, []), { depth: 20 }).match(/round/g)?.length).toBeLessThanOrEqual(5);
});
