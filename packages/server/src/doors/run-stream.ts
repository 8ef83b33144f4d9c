import { type RunMeta, writeSse } from '@continuo/protocol';
import type { Context } from 'hono';
import type { Feeds } from '../core/feed.ts';
import { NO_DIALECT, NOBODY } from '../core/nobody.ts';
import type { Run } from '../core/runs.ts';
import type { Clock, EventStream, Head, OpenStream } from '../ports.ts';
import { runDialect } from './dialects.ts';
import { openEventStream } from './event-stream.ts';

export interface RunStream extends EventStream {
  /** Says something about the stream itself: not an event of the run. */
  meta(event: RunMeta): void;
}

export interface Following {
  /** The offset of the last event the client has. */
  readonly after: number;
  readonly to: RunStream;
  /** Called when all that was there at the start has been sent. */
  caughtUp?(): void;
  /** Called when the client has gone before the run ended. */
  left?(): void;
}

export interface RunStreams {
  /** Opens the response, with its first byte at once. */
  open(c: Context): RunStream;
  /** Sends the run's events after an offset, in order, each once, and ends the stream with the run. */
  follow(run: Run, head: Head, following: Following): void;
  /** Resolves when the run has ended, or its client has gone. */
  untilEnded(run: Run, head: Head, signal: AbortSignal): Promise<void>;
}

export function createRunStreams(options: {
  readonly feeds: Feeds;
  readonly openStream: OpenStream;
  readonly clock: Clock;
}): RunStreams {
  const { feeds, openStream, clock } = options;

  return {
    open(c) {
      const stream = openEventStream(c, { openStream, clock });
      const { peer } = stream;
      const meta = (event: RunMeta): void =>
        peer.send(peer.wire.frame(writeSse({ event: event.event, data: JSON.stringify(event) })));
      return { ...stream, meta };
    },

    follow(run, head, { after, to, caughtUp, left }) {
      const { peer, meta, onClosed } = to;
      const dialect = runDialect(peer.wire, run.sessionId);
      let ended = false;
      const feed = feeds.open({
        log: run.log,
        head,
        after: { epoch: head.epoch, offset: after },
        peer,
        dialect,
        replay: { until: head.offset, dialect, ...(caughtUp && { done: caughtUp }) },
        onReset({ reason, from, to: goesOn }) {
          meta({ event: 'gap', run_id: run.runId, reason, from: from.offset, to: goesOn.offset });
          return goesOn;
        },
        onEnd() {
          ended = true;
          peer.close(1000, 'the run has ended');
        },
      });
      onClosed(() => {
        feed.close();
        if (!ended) left?.();
      });
    },

    untilEnded(run, head, signal) {
      return new Promise((resolve) => {
        const done = (): void => {
          feed.close();
          resolve();
        };
        const feed = feeds.open({
          log: run.log,
          head,
          after: { epoch: head.epoch, offset: head.offset },
          peer: NOBODY,
          dialect: NO_DIALECT,
          onReset: ({ to }) => to,
          onEnd: done,
        });
        signal.addEventListener('abort', done, { once: true });
      });
    },
  };
}
