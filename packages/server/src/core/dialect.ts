import type { Entry } from '@continuo/protocol';
import type { Wire } from '../ports.ts';

/** How entries look on one kind of connection of one door. */
export interface Dialect {
  /** Two dialects with one key write the same bytes for the same entry. */
  readonly key: string;
  readonly wire: Wire;
  text(entry: Entry): string;
  /** Several entries as one frame. Without it each is a frame of its own. */
  batch?(entries: readonly Entry[]): string;
}

/** An entry in memory, with the frames it was encoded to: once per dialect, shared by all readers. */
export interface Slot {
  readonly entry: Entry;
  /** What it costs to keep, in bytes: data, objects and frames. */
  bytes: number;
  /** What a ring has counted of `bytes`: frames that are made later come on top. */
  counted: number;
  readonly frames: { readonly key: string; readonly frame: Uint8Array }[];
}

/** What an entry costs beside its data, in bytes: its objects and strings. */
const ENTRY_OVERHEAD = 400;

export function createSlot(entry: Entry, dataBytes: number): Slot {
  return { entry, bytes: ENTRY_OVERHEAD + dataBytes * 2, counted: 0, frames: [] };
}

export function frameOf(slot: Slot, dialect: Dialect): Uint8Array {
  for (const known of slot.frames) if (known.key === dialect.key) return known.frame;
  const frame = dialect.wire.frame(dialect.text(slot.entry));
  slot.frames.push({ key: dialect.key, frame });
  slot.bytes += frame.byteLength;
  return frame;
}

export function joinSlots(slots: readonly Slot[], dialect: Dialect): Uint8Array {
  const [first] = slots;
  if (slots.length === 1 && first) return frameOf(first, dialect);
  if (dialect.batch) return dialect.wire.frame(dialect.batch(slots.map((slot) => slot.entry)));
  return dialect.wire.join(slots.map((slot) => frameOf(slot, dialect)));
}

/** The same for entries whose frames no other reader will ask for. */
export function joinEntries(entries: readonly Entry[], { wire, text, batch }: Dialect): Uint8Array {
  const [first] = entries;
  if (entries.length === 1 && first) return wire.frame(text(first));
  if (batch) return wire.frame(batch(entries));
  return wire.join(entries.map((entry) => wire.frame(text(entry))));
}
