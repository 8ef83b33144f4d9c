import { expect, it } from 'vitest';
import { createHider, createLog } from './log.ts';

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

it('neither the fields of a problem nor its causes show a credential', () => {
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  const log = createLog({ level: 'info', readable: false, secrets: ['operators-token'], destination });
  const cause = new Error('operators-token in the cause');
  const err = new Error('GET /agents?token=in-the-url, Bearer in-the-header', { cause });
  log.error({ err, token: 'in-a-field', request: { authorization: 'in-a-request' } }, 'with operators-token');
  log.debug('below the level');
  expect(lines).toHaveLength(1);
  const [line = ''] = lines;
  expect(JSON.parse(line)).toMatchObject({ level: 50, msg: 'with [hidden]', token: '[hidden]' });
  for (const secret of ['operators-token', 'in-the-url', 'in-the-header', 'in-a-field', 'in-a-request'])
    expect(line).not.toContain(secret);
});
