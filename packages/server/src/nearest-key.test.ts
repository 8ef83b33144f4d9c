import { expect, it } from 'vitest';
import { nearestKey } from './nearest-key.ts';

const KEYS = ['agents', 'port', 'push', 'host', 'drainMs', 'allowedOrigins'];

it.each([
  ['prot', 'port'],
  ['pots', 'port'],
  ['hst', 'host'],
  ['drainms', 'drainMs'],
  ['allowOrigins', 'allowedOrigins'],
  ['agent', 'agents'],
  ['x', null],
  ['memory', null],
  ['', null],
])('%s was meant to be %s', (wrong, meant) => {
  expect(nearestKey(wrong, KEYS)).toBe(meant);
});
