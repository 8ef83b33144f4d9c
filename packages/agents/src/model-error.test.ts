import { APICallError } from 'ai';
import { describe, expect, it } from 'vitest';
import { faultOf } from './model-error.ts';

const KEY = 'topsecret';
const faultWith = (error: unknown, begun = false): ReturnType<typeof faultOf> =>
  faultOf(error, { model: 'm-1', secrets: [KEY], now: 0, begun });

function refusal(
  statusCode: number,
  error: { readonly message: string; readonly code?: string },
): APICallError {
  return new APICallError({
    message: error.message,
    url: 'http://127.0.0.1/v1',
    requestBodyValues: {},
    statusCode,
    data: { error },
  });
}

describe('what a failed request means', () => {
  it.each<[APICallError, string, boolean]>([
    [refusal(401, { message: 'no' }), 'refused the API key (401). Check OPENAI_API_KEY.', false],
    [
      refusal(404, { message: 'no' }),
      'has no model "m-1" (404). Check CONTINUO_MODEL and OPENAI_BASE_URL.',
      false,
    ],
    [refusal(400, { message: 'no', code: 'model_not_found' }), 'has no model "m-1" (400)', false],
    [refusal(400, { message: 'no', code: 'server_error' }), 'refused the request (400): no', false],
    [refusal(402, { message: 'no' }), 'has no credit left (402)', false],
    [refusal(429, { message: 'no', code: 'insufficient_quota' }), 'has no credit left (429)', false],
    [
      refusal(429, { message: 'slow' }),
      'takes no more requests for now (429). Send the message again later.',
      true,
    ],
    [
      refusal(400, { message: 'The context is too long.' }),
      'refused the request (400): The context is too long.',
      false,
    ],
    [refusal(502, { message: 'bad gateway' }), 'failed (502): bad gateway.', true],
  ])('is said in a sentence: %s', (error, sentence, passing) => {
    const fault = faultWith(error);
    expect(fault.error.message).toContain(sentence);
    expect(fault.passing).toBe(passing);
    expect(fault.error.cause).toMatchObject({ message: error.message, status: error.statusCode });
  });

  it('is said with the address to look at where nobody answers', () => {
    const { error } = faultWith(new TypeError('fetch failed: 10.0.0.7:8000'));
    expect(error.message).toBe(
      'The model endpoint cannot be reached. Check OPENAI_BASE_URL and whether it runs.',
    );
  });

  it.each<[unknown, boolean]>([
    [{ message: 'overloaded', type: 'overloaded_error' }, true],
    [{ message: 'slow down', code: 'rate_limit_exceeded' }, true],
    [{ message: 'odd', type: 'invalid_request_error' }, false],
    [new TypeError('fetch failed'), true],
    [new Error('a bug'), false],
    ['a word', false],
  ])('of an error in the stream is known by its words: %o', (error, passing) => {
    expect(faultWith(error).passing).toBe(passing);
  });

  it('is for the log alone where it is a bug', () => {
    const { error } = faultWith(new RangeError('x is not y'));
    expect(error.message).toBe('The model "m-1" could not be asked. The server has noted why.');
    expect(error.cause).toMatchObject({ name: 'RangeError', message: 'x is not y' });
  });

  it('of an answer of 200 that was cut is that it was cut', () => {
    const cause = new TypeError('terminated');
    const error = new APICallError({
      message: 'cut',
      url: '',
      requestBodyValues: {},
      statusCode: 200,
      isRetryable: true,
      cause,
    });
    expect(faultWith(error)).toMatchObject({
      passing: true,
      error: { message: expect.stringContaining('reached') },
    });
    expect(faultWith(error, true).error.message).toContain('broke off');
  });

  it.each([
    `the key ${KEY} is wrong`,
    'Bearer abc.def is wrong',
    'sk-abc1 is wrong',
    'sk-proj-0123456789abcdefghijklmnop is wrong',
    'AIzaSyA0123456789abcdefghijk is wrong',
    'http://user:topsecret@host/v1 is wrong',
  ])('shows no key: %s', (message) => {
    const { error } = faultWith(refusal(400, { message }));
    expect(error.message).toMatch(/\[key\].* is wrong\.$/);
    for (const secret of [KEY, 'abc', 'AIza']) expect(error.message).not.toContain(secret);
  });
});
