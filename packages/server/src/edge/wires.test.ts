import { describe, expect, it } from 'vitest';
import { TEXT_WIRE, WS_WIRE } from './wires.ts';

const header = (text: string): number[] => [...WS_WIRE.frame(text).subarray(0, 10)];

describe('a frame on a WebSocket', () => {
  it.each([
    [0, [0x81, 0], 2],
    [1, [0x81, 1], 2],
    [125, [0x81, 125], 2],
    [126, [0x81, 126, 0, 126], 4],
    [65_535, [0x81, 126, 0xff, 0xff], 4],
    [65_536, [0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0], 10],
    [1_048_576, [0x81, 127, 0, 0, 0, 0, 0, 16, 0, 0], 10],
  ])('of %i bytes says so in its header, whole, as text, not masked', (length, bytes, headerBytes) => {
    const text = 'x'.repeat(length);
    const frame = WS_WIRE.frame(text);
    expect(header(text).slice(0, headerBytes)).toEqual(bytes);
    expect(frame.byteLength).toBe(headerBytes + length);
    expect(Buffer.from(frame.subarray(headerBytes)).toString()).toBe(text);
  });

  it('counts bytes, not letters', () => {
    const text = 'ä€😀';
    const frame = WS_WIRE.frame(text);
    expect(header(text)[1]).toBe(9);
    expect(Buffer.from(frame.subarray(2)).toString()).toBe(text);
  });

  it('joins others in their order', () => {
    const frames = ['a', 'bc'].map((text) => WS_WIRE.frame(text));
    expect([...WS_WIRE.join(frames)]).toEqual([0x81, 1, 97, 0x81, 2, 98, 99]);
  });
});

it('text goes as it is', () => {
  expect(Buffer.from(TEXT_WIRE.join([TEXT_WIRE.frame('é'), TEXT_WIRE.frame('b')])).toString()).toBe('éb');
});
