import { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { addressOf, createAdmission } from './admission.ts';

describe('sockets at once', () => {
  it('L-18 of everybody: the next one gets 503', () => {
    const admission = createAdmission({ connections: 2, connectionsPerAddress: 9 });
    const leave = admission.enter('a');
    admission.enter('b');
    expect(admission.refuse('c')).toMatchObject({ status: 503, retryAfterSeconds: 5 });
    leave();
    leave();
    expect(admission.refuse('c')).toBeNull();
    admission.enter('c');
    expect(admission.refuse('a')?.message).toContain('2 connections');
  });

  it('L-18 of one address: the next one gets 429, and nobody else is refused', () => {
    const admission = createAdmission({ connections: 9, connectionsPerAddress: 2 });
    const leaving = [admission.enter('a'), admission.enter('a')];
    expect(admission.refuse('a')).toMatchObject({ status: 429, retryAfterSeconds: 5 });
    expect(admission.refuse('b')).toBeNull();
    leaving[0]?.();
    expect(admission.refuse('a')).toBeNull();
    leaving[0]?.();
    admission.enter('a');
    expect(admission.refuse('a')).not.toBeNull();
  });
});

describe('who connects', () => {
  const PROXY = '10.0.0.1';

  function address(forwarded: string | undefined, trustProxy: boolean, remoteAddress = PROXY): string {
    const socket = Object.defineProperty(new Socket(), 'remoteAddress', { value: remoteAddress });
    const headers = forwarded === undefined ? {} : { 'x-forwarded-for': forwarded };
    return addressOf({ headers, socket }, trustProxy);
  }

  it.each([
    ['1.2.3.4', '1.2.3.4'],
    ['9.9.9.9, 1.2.3.4', '1.2.3.4'],
    ['9.9.9.9,1.2.3.4 ', '1.2.3.4'],
    ['1.2.3.4:5678', '1.2.3.4'],
    ['2001:db8::1', '2001:db8::1'],
    ['[2001:db8::1]:5678', '2001:db8::1'],
    ['::ffff:1.2.3.4', '1.2.3.4'],
    ['1.2.3.4, unknown', PROXY],
    ['1.2.3.4,', PROXY],
    ['', PROXY],
    [undefined, PROXY],
  ])('behind a proxy that says %j is %s', (forwarded, expected) => {
    expect(address(forwarded, true)).toBe(expected);
  });

  it('is what the network says where no proxy is trusted', () => {
    expect(address('1.2.3.4', false)).toBe(PROXY);
    expect(address(undefined, false, '::ffff:1.2.3.4')).toBe('1.2.3.4');
    expect(address(undefined, false, '::1')).toBe('::1');
  });
});
