import { type ELDHistogram, monitorEventLoopDelay } from 'node:perf_hooks';

/** How late the event loop was since it was last asked, in seconds. */
export interface Lag {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export interface LoopLag {
  take(): Lag;
  close(): void;
}

/** The loop is looked at this often, in ms: a lag is told beyond it. */
const RESOLUTION_MS = 10;

/** Counts inside Node, and only from the first `take()` on: a gateway that nobody asks for metrics does not pay. */
export function createLoopLag(): LoopLag {
  let histogram: ELDHistogram | null = null;
  const secondsOf = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e9 - RESOLUTION_MS / 1e3);
  return {
    take() {
      if (histogram === null) {
        histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
        histogram.enable();
        return { p50: 0, p99: 0, max: 0 };
      }
      const lag = {
        p50: secondsOf(histogram.percentile(50)),
        p99: secondsOf(histogram.percentile(99)),
        max: secondsOf(histogram.max),
      };
      histogram.reset();
      return lag;
    },
    close() {
      histogram?.disable();
      histogram = null;
    },
  };
}
