import { expect, it } from 'vitest';
import { createHider } from './log.ts';

it.each([
  ['GET /agents?token=abc', 'GET /agents?token=[hidden]'],
  ['GET /agents?x=1&token=a%20b&y=2', 'GET /agents?x=1&token=[hidden]&y=2'],
  ['{"url":"/?access_token=abc","y":1}', '{"url":"/?access_token=[hidden]","y":1}'],
  ['authorization: Bearer ab.cd-ef_gh==', 'authorization: Bearer [hidden]'],
  ['it was operators-token that was wrong', 'it was [hidden] that was wrong'],
  ['in a URL: a%20%22quoted%22', 'in a URL: [hidden]'],
  [JSON.stringify({ msg: 'a "quoted"' }), '{"msg":"[hidden]"}'],
  ['a token of one letter is no secret: t', 'a token of one letter is no secret: t'],
])('%s is written as %s', (line, written) => {
  expect(createHider(['operators-token', 'a "quoted"', 't'])(line)).toBe(written);
});
