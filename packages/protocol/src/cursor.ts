/**
 * Positions. Every position is exclusive: it names the last entry that was seen, so reading goes on "after" it.
 * Offsets start at 1; offset 0 is the position before the first entry.
 */

/** A position within one log. Without `epoch` it means the log's current epoch. */
export interface Cursor {
  readonly epoch?: string;
  readonly offset: number;
}

/** A position that names its log. */
export interface Position {
  readonly log: string;
  readonly epoch: string;
  readonly offset: number;
}

/** Why a position could not be served: the log was lost, was trimmed past it, or never reached it. */
export type ResetReason = 'epoch' | 'trimmed' | 'ahead';

/** Why the entries after a position cannot all be had of a log that stands at `head`; `null`: they can. */
export function lossOf(
  { epoch, offset }: Cursor,
  head: { readonly epoch: string; readonly offset: number; readonly oldest: number },
): ResetReason | null {
  if (epoch !== undefined && epoch !== head.epoch) return 'epoch';
  if (offset > head.offset) return 'ahead';
  return offset + 1 < head.oldest ? 'trimmed' : null;
}

/**
 * A lost position. Reading goes on after `to`; whatever lay between `from` and `to` cannot be had any more.
 * Every door shows it to its client: it is never swallowed.
 */
export interface Reset {
  readonly log: string;
  readonly reason: ResetReason;
  readonly from: Cursor;
  readonly to: { readonly epoch: string; readonly offset: number };
}

/** One position per log, for a client that reads several at once. Opaque on the wire. */
export type VectorCursor = ReadonlyMap<string, { readonly epoch: string; readonly offset: number }>;

/** `log,epoch,offset` joined by `;`, each part percent-encoded: safe in a URL, an SSE id and JSON. */
export function encodeVectorCursor(cursor: VectorCursor): string {
  const parts: string[] = [];
  for (const [log, at] of cursor) {
    parts.push(`${encodeURIComponent(log)},${encodeURIComponent(at.epoch)},${at.offset}`);
  }
  return parts.join(';');
}

/** The inverse of {@link encodeVectorCursor}; `null` for text that it never made. */
export function decodeVectorCursor(text: string): VectorCursor | null {
  const cursor = new Map<string, { epoch: string; offset: number }>();
  if (text === '') return cursor;
  for (const part of text.split(';')) {
    const fields = part.split(',');
    const [log, epoch, digits] = fields;
    if (fields.length !== 3 || !log || epoch === undefined || !digits || !/^\d{1,15}$/.test(digits))
      return null;
    try {
      const name = decodeURIComponent(log);
      if (cursor.has(name)) return null;
      cursor.set(name, { epoch: decodeURIComponent(epoch), offset: Number(digits) });
    } catch {
      return null; // a malformed percent escape
    }
  }
  return cursor;
}

/** The positions of two encoded cursors; where both name a log, that of `newer`. What neither end needs to read stays text. */
export function mergeVectorCursors(held: string, newer: string): string {
  const merged = new Map<string, string>();
  for (const part of `${held};${newer}`.split(';')) {
    const [log = ''] = part.split(',');
    if (log) merged.set(log, part);
  }
  return [...merged.values()].join(';');
}
