import type { Entry } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { createDialect, entryOf } from '../../test/reading.ts';
import { createSlot, frameOf, joinSlots } from './dialect.ts';

describe('the frames of an entry', () => {
  it('are made once per dialect, and are the same bytes for everyone', () => {
    const one = createDialect('one');
    const two = createDialect('two');
    const slot = createSlot(entryOf(1), 10);
    const frame = frameOf(slot, one);
    expect(frameOf(slot, one)).toBe(frame);
    expect(frameOf(slot, two)).not.toBe(frame);
    expect([one.encoded, two.encoded]).toEqual([1, 1]);
  });

  it('are the same for two dialects of one key', () => {
    const one = createDialect('one');
    const twin = createDialect('one');
    const slot = createSlot(entryOf(1), 10);
    expect(frameOf(slot, twin)).toBe(frameOf(slot, one));
    expect(twin.encoded + one.encoded).toBe(1);
  });

  it('count in what the entry costs to keep', () => {
    const slot = createSlot(entryOf(1), 10);
    const before = slot.bytes;
    const frame = frameOf(slot, createDialect('one'));
    expect(slot.bytes).toBe(before + frame.byteLength);
  });

  it('are joined in order; one alone goes as it is', () => {
    const dialect = createDialect('one');
    const slots = [1, 2, 3].map((offset) => createSlot(entryOf(offset), 10));
    const joined = Buffer.from(joinSlots(slots, dialect)).toString();
    expect(joined).toBe('one 1 e1\none 2 e2\none 3 e3\n');
    const [first] = slots;
    expect(joinSlots(slots.slice(0, 1), dialect)).toBe(first && frameOf(first, dialect));
  });

  it('are one frame where the dialect has one for several; the frame of an entry alone is shared', () => {
    const batch = { ...createDialect('one'), batch: (entries: readonly Entry[]) => `all ${entries.length}` };
    const slots = [1, 2].map((offset) => createSlot(entryOf(offset), 10));
    expect(Buffer.from(joinSlots(slots, batch)).toString()).toBe('all 2\n');
    const [first] = slots;
    expect(joinSlots(slots.slice(0, 1), batch)).toBe(first && frameOf(first, batch));
  });
});
