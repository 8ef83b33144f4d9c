import type { Entry } from '@continuo/protocol';
import type { Logs } from '../ports.ts';

const PAGE = { entries: 1_000, bytes: 256 * 1024 };

/**
 * Reads a log from `after` to its end, page by page, and hands over every entry in order. Returns the position it
 * reached and the bytes it read, or `null` when `after` is lost.
 */
export async function foldLog(
  logs: Logs,
  log: string,
  after: { readonly epoch: string; readonly offset: number },
  each: (entry: Entry) => void,
): Promise<{ epoch: string; offset: number; bytes: number } | null> {
  let position = after;
  let bytes = 0;
  for (;;) {
    const page = await logs.read(log, position, PAGE);
    if (page.kind === 'reset') return null;
    for (const entry of page.entries) each(entry);
    position = page.next;
    bytes += page.bytes;
    if (!page.more) return { ...position, bytes };
  }
}
