import type { Broadcaster } from '../crowd.ts';
import { type FanOut, runFanOut } from './fan-out.ts';

/** One channel and a thousand readers of server-sent events, beside the same over WebSocket. */

export const READERS = 1_000;

export function runSse(streams: readonly Broadcaster[], deadlineMs: number): Promise<FanOut[]> {
  return runFanOut(streams, { subscribers: READERS, deadlineMs });
}
