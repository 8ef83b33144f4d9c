import type { Entry, Reset, WireError } from '@continuo/protocol';
import type { Principal } from '../core/access.ts';
import type { Feeds } from '../core/feed.ts';
import { NO_DIALECT, NOBODY } from '../core/nobody.ts';
import type { Run } from '../core/runs.ts';
import type { Clock, Head, ReadLimit } from '../ports.ts';
import { CLOSING, TOKEN_ENDED } from './run-asked.ts';
import type { Closing } from './run-closing.ts';
import { isPausedAfter } from './run-stream.ts';

/** How far a reading has come. */
export interface Progress {
  /** Nothing is left to read just now. */
  readonly atHead: boolean;
  /** The run has ended, and all of it was read. */
  readonly ended: boolean;
  /** `lateMs` are over. */
  readonly late: boolean;
}

export interface RunReading {
  readonly run: Run;
  readonly head: Head;
  /** The offset of the last event the client has. */
  readonly after: number;
  readonly principal: Principal;
  /** Of the client that waits. */
  readonly signal: AbortSignal;
  readonly lateMs?: number;
  readonly step?: ReadLimit;
  /** How many more entries it takes. Default: any number. */
  room?(): number;
  /** Gets entries, in order, each once. */
  take(entries: readonly Entry[]): void;
  onReset?(reset: Reset): void;
  /** Whether that is all. */
  isEnough(progress: Progress): boolean;
}

/** Readers of runs that get one answer when they have waited for it. */
export interface RunReads {
  /**
   * Reads until it is enough, or the client has gone. Rejects with `unauthorized` when the client's token ends, and with
   * `draining` when the server closes.
   */
  read(reading: RunReading): Promise<Progress>;
  /** Resolves when the run has ended or waits for answers. Rejects as {@link RunReads.read}. */
  untilStill(reading: Pick<RunReading, 'run' | 'head' | 'after' | 'principal' | 'signal'>): Promise<void>;
}

export function createRunReads({
  feeds,
  clock,
  closing,
}: {
  readonly feeds: Feeds;
  readonly clock: Clock;
  readonly closing: Closing;
}): RunReads {
  function read(reading: RunReading): Promise<Progress> {
    const { run, head, after, principal, signal, lateMs, step, room } = reading;
    return new Promise((resolve, reject) => {
      let ended = false;
      let late = false;
      const progress = (): Progress => ({ atHead: feed.live, ended, late });
      const look = (): void => {
        if (reading.isEnough(progress())) finish();
      };
      const feed = feeds.open({
        log: run.log,
        head,
        after: { epoch: head.epoch, offset: after },
        peer: NOBODY,
        dialect: NO_DIALECT,
        ...(step && { step }),
        ...(room && { room }),
        onMoved(sent) {
          reading.take(sent);
          look();
          leaver.look();
        },
        onHead: look,
        onReset(reset) {
          reading.onReset?.(reset);
          return reset.to;
        },
        onEnd() {
          ended = true;
          look();
        },
      });
      const stops = [
        () => feed.close(),
        () => leaver.leave(),
        () => signal.removeEventListener('abort', finish),
      ];
      function stop(): void {
        for (const each of stops.splice(0)) each();
      }
      function finish(): void {
        const reached = progress();
        stop();
        resolve(reached);
      }
      function fail(error: WireError): void {
        stop();
        reject(error);
      }
      const leaver = closing.enter({
        log: run.log,
        head,
        position: () => feed.position.offset,
        end: () => fail(CLOSING),
      });
      signal.addEventListener('abort', finish, { once: true });
      if (principal.expiresAt !== undefined)
        stops.push(clock.schedule(principal.expiresAt, () => fail(TOKEN_ENDED)));
      if (lateMs !== undefined) {
        stops.push(
          clock.schedule(clock.now() + lateMs, () => {
            late = true;
            look();
          }),
        );
      }
      if (signal.aborted) finish();
    });
  }

  return {
    read,
    async untilStill(reading) {
      let paused = false;
      await read({
        ...reading,
        take(entries) {
          paused = isPausedAfter(entries, paused);
        },
        isEnough: ({ atHead, ended }) => ended || (atHead && paused),
      });
    },
  };
}
