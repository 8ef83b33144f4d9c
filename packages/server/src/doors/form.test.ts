import { describe, expect, it } from 'vitest';
import { range } from '../../test/pick.ts';
import { type Form, formReaderOf } from './form.ts';

const URLENCODED = 'application/x-www-form-urlencoded';

function read(type: string, text: string): Promise<Form> {
  const reader = formReaderOf(type);
  if (!reader) throw new Error(`${type} is no form`);
  return reader(new TextEncoder().encode(text).buffer);
}

/** A form with a part for each field, and what ends it. */
function multipart(boundary: string, fields: readonly (readonly [string, string])[]): string {
  const parts = fields.map(
    ([name, value]) => `--${boundary}\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
  );
  return `${parts.join('')}--${boundary}--\r\n`;
}

const numbered = (count: number): (readonly [string, string])[] =>
  range(1, count).map((number) => [`n${number}`, 'x']);

describe('a form', () => {
  it.each([
    [URLENCODED, 'a=1&b=%C3%A9+%26&a=2&c'],
    [`${URLENCODED}; charset=utf-8`, 'a=2&b=\u00e9+%26&c='],
    [
      'multipart/form-data; boundary=x-1',
      multipart('x-1', [
        ['a', '1'],
        ['b', '\u00e9 &'],
        ['a', '2'],
        ['c', ''],
      ]),
    ],
    [
      'multipart/form-data; charset=utf-8; boundary="x 1"',
      multipart('x 1', [
        ['a', '2'],
        ['b', '\u00e9 &'],
        ['c', ''],
      ]),
    ],
  ])('R-9 of type %s has its fields, of one name the last', async (type, text) => {
    expect({ ...(await read(type, text)) }).toEqual({ a: '2', b: '\u00e9 &', c: '' });
  });

  it.each([
    [URLENCODED, new URLSearchParams([...numbered(1_000)].map((field) => [...field])).toString()],
    ['multipart/form-data; boundary=--q7', multipart('--q7', numbered(1_000))],
  ])('R-9 of type %s may have a thousand fields', async (type, text) => {
    expect(await read(type, text)).toEqual(
      Object.assign(Object.create(null), Object.fromEntries(numbered(1_000))),
    );
  });

  it.each([
    [URLENCODED, `message=${'x'.repeat(1e6)}`],
    ['multipart/form-data; boundary=--q7', multipart('--q7', [['message', 'x'.repeat(1e6)]])],
    ['multipart/form-data; boundary=--q7', multipart('--q7', [['message', '\r\n--\r\n'.repeat(1e5)]])],
  ])('R-9 of type %s may have one large field', async (type, text) => {
    expect(String((await read(type, text)).message).length).toBeGreaterThan(5e5);
  });

  it.each([
    [URLENCODED, 'a&'.repeat(5e5)],
    [URLENCODED, '&'.repeat(1_000)],
    ['multipart/form-data; boundary=--q7', multipart('--q7', numbered(1_001))],
    ['multipart/form-data; boundary="--q7"; boundary=y', multipart('--q7', numbered(1_001))],
  ])('R-9 of type %s is refused with more, before it is parsed', async (type, text) => {
    await expect(read(type, text)).rejects.toMatchObject({ code: 'too_large' });
  });

  it.each([
    ['multipart/form-data', multipart('x', numbered(2))],
    ['multipart/form-data; boundary=y', multipart('x', numbered(2))],
    ['multipart/form-data; boundary="a\\"b"', multipart('a"b', numbered(2))],
    ['multipart/form-data; boundary=--q7', '--x\r\nno header'],
    ['multipart/form-data; boundary=', multipart('', numbered(2))],
  ])('R-9 of type %s may be none', async (type, text) => {
    await expect(read(type, text)).rejects.toMatchObject({ code: 'bad_request' });
  });

  it.each(['', 'application/json', 'text/plain; boundary=--q7', 'multipart/mixed; boundary=x'])(
    'R-9 is not what is of type "%s"',
    (type) => {
      expect(formReaderOf(type)).toBeNull();
    },
  );
});
