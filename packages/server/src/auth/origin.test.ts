import { describe, expect, it } from 'vitest';
import { isLoopback, refuseOrigin } from './origin.ts';

const ALLOWED = 'https://app.example.com';

describe('L-14 bound to loopback', () => {
  it.each([
    ['127.0.0.1:8765', undefined, true],
    ['localhost', undefined, true],
    ['LOCALHOST:9', undefined, true],
    ['[::1]:8765', undefined, true],
    ['127.0.0.1:8765', 'http://127.0.0.1:8765', true],
    ['127.0.0.1:8765', 'http://localhost:5173', true],
    ['localhost:8765', 'https://[::1]:1', true],
    ['127.0.0.1:8765', ALLOWED, true],
    // A page of another site, in whatever guise.
    ['127.0.0.1:8765', 'https://evil.example', false],
    ['127.0.0.1:8765', 'http://localhost.evil.example', false],
    ['127.0.0.1:8765', 'http://127.0.0.1.evil.example', false],
    ['127.0.0.1:8765', 'https://app.example.com.evil.example', false],
    ['127.0.0.1:8765', 'null', false],
    ['127.0.0.1:8765', '', false],
    ['127.0.0.1:8765', 'http://192.168.1.5', false],
    // A name of another site that was made to lead here.
    ['evil.example', undefined, false],
    ['evil.example:8765', 'http://evil.example:8765', false],
    ['localhost.evil.example', undefined, false],
    ['192.168.1.5:8765', undefined, false],
    ['0.0.0.0:8765', undefined, false],
    ['', undefined, false],
    [undefined, undefined, false],
  ])('the host %s and the origin %s: %s', (host, origin, passes) => {
    const refusal = refuseOrigin({ host, origin }, { loopback: true, allowed: [ALLOWED] });
    expect(refusal === null).toBe(passes);
  });
});

describe('L-14 bound beyond loopback', () => {
  it.each([
    ['gateway.example', undefined, true],
    ['10.0.0.7:8765', undefined, true],
    ['gateway.example', 'https://gateway.example', true],
    ['gateway.example:8765', 'http://gateway.example:8765', true],
    ['gateway.example', ALLOWED, true],
    ['gateway.example:8765', 'http://gateway.example:1', false],
    ['gateway.example', 'https://evil.example', false],
    ['gateway.example', 'https://gateway.example.evil.example', false],
    ['gateway.example', 'http://localhost', false],
    ['gateway.example', 'null', false],
    [undefined, 'https://gateway.example', false],
  ])('the host %s and the origin %s: %s', (host, origin, passes) => {
    const refusal = refuseOrigin({ host, origin }, { loopback: false, allowed: [ALLOWED] });
    expect(refusal === null).toBe(passes);
  });
});

it('L-14 a refusal says what to do', () => {
  const policy = { loopback: true, allowed: [] };
  expect(refuseOrigin({ host: 'evil.example', origin: undefined }, policy)).toContain(
    'Use 127.0.0.1 or localhost',
  );
  expect(refuseOrigin({ host: 'localhost', origin: 'https://a.example' }, policy)).toContain(
    'allowed origins',
  );
});

it.each([
  ['127.0.0.1', true],
  ['127.8.9.1', true],
  ['::1', true],
  ['localhost', true],
  ['0.0.0.0', false],
  ['::', false],
  ['192.168.0.1', false],
  ['127.0.0.1.evil.example', false],
  ['gateway.example', false],
  ['', false],
])('L-16 a server bound to "%s" is reached from this machine only: %s', (address, only) => {
  expect(isLoopback(address)).toBe(only);
});
