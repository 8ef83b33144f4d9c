import { lossOf } from '@continuo/protocol';
import type { Head } from '../ports.ts';

/** What is asked of a channel's past. */
export interface PageQuery {
  /** The first item is the one after it. Default: the oldest that is kept. */
  readonly since?: number | undefined;
  readonly epoch?: string | undefined;
  /** Default 100, at most 1,000; fewer come where they are large. */
  readonly limit?: number | undefined;
}

export interface ChannelPage<T> {
  readonly messages: readonly T[];
  /** `since` of the next page. */
  readonly cursor: number;
  readonly more: boolean;
  readonly epoch: string;
  readonly oldest_cursor: number;
  /** False: what came after the asked position is gone, and the page begins at the oldest. */
  readonly recovered: boolean;
}

const LIMIT = 100;
const MAX_LIMIT = 1_000;
/** Bytes of one page, as JSON. */
export const PAGE_BYTES: number = 512 * 1024;

const encoder = new TextEncoder();

export function limitOf({ limit = LIMIT }: PageQuery): number {
  return Math.min(limit, MAX_LIMIT);
}

/** Where a page begins in a log that stands at `head`. */
export function startOf(
  { since, epoch }: PageQuery,
  head: Head,
): { readonly after: number; readonly recovered: boolean } {
  const oldest = head.oldest - 1;
  if (since === undefined && epoch === undefined) return { after: oldest, recovered: true };
  const offset = since ?? 0;
  const isLost = lossOf({ offset, ...(epoch !== undefined && { epoch }) }, head) !== null;
  return isLost ? { after: oldest, recovered: false } : { after: offset, recovered: true };
}

/** Takes items until a page is full; at least one. */
export function createFilling<T>(): { readonly items: readonly T[]; add(item: T): boolean } {
  const items: T[] = [];
  let bytes = 0;
  return {
    items,
    add(item) {
      bytes += encoder.encode(JSON.stringify(item)).byteLength + 1;
      if (items.length > 0 && bytes > PAGE_BYTES) return false;
      items.push(item);
      return true;
    },
  };
}

/** A page of a log that is not there. */
export function emptyPage<T>({ since, epoch }: PageQuery): ChannelPage<T> {
  const recovered = epoch === undefined && (since ?? 0) === 0;
  return { messages: [], cursor: 0, more: false, epoch: '', oldest_cursor: 1, recovered };
}
