import {
  type ErrorCode,
  type Entry,
  type EventsQuery,
  type RunMeta,
  type WireError,
  writeSse,
} from '@continuo/protocol';
import type { Context } from 'hono';
import type { Principal } from '../core/access.ts';
import type { Feeds } from '../core/feed.ts';
import type { Run } from '../core/runs.ts';
import type { Clock, Head, OpenStream, Peer, ReadLimit } from '../ports.ts';
import { collapsedRunDialect, runDialect } from './dialects.ts';
import { openEventStream } from './event-stream.ts';
import { TOKEN_ENDED } from './run-asked.ts';
import type { Closing } from './run-closing.ts';

/** What one step of a collapsed view reads: what is sent of it is much smaller. */
export const COLLAPSED_STEP: ReadLimit = { entries: 2_500, bytes: 1024 * 1024 };

export interface RunStream {
  readonly peer: Peer;
  readonly response: Response;
  /** Says something about the stream itself: not an event of the run. */
  meta(event: RunMeta): void;
  /** Tells its client of an error, and ends it. */
  fail(error: WireError): void;
  /** Idempotent. */
  end(): void;
  /** Calls `run` once when it is over. `left`: because its client has gone. */
  onOver(run: (left: boolean) => void): void;
}

export interface Following {
  /** The offset of the last event the client has. */
  readonly after: number;
  readonly to: RunStream;
  /** It ends with the run; at a `pause`, too, that is the newest there is; or with all that there is `now`. */
  readonly until: 'end' | 'pause' | 'now';
  /** Default `exact`. */
  readonly view?: EventsQuery['view'];
  /** Called when all that was there at the start has been sent. */
  caughtUp?(): void;
  /** Called when the client has gone before the stream ended. */
  left?(): void;
}

export interface RunStreams {
  /** Opens the response, with its first byte at once. It ends with the token it was asked for with. */
  open(c: Context, principal: Principal): RunStream;
  /** Sends the run's events after an offset, in order, each once. */
  follow(run: Run, head: Head, following: Following): void;
}

/** Whether a run waits for answers after these entries of it; `before`: whether it did so before them. */
export function isPausedAfter(entries: readonly Entry[], before: boolean): boolean {
  const last = entries.findLast(({ type }) => type !== 'approval.resolved');
  return last ? last.type === 'run.paused' : before;
}

export function createRunStreams(options: {
  readonly feeds: Feeds;
  readonly openStream: OpenStream;
  readonly clock: Clock;
  readonly closing: Closing;
  readonly onError?: (code: ErrorCode) => void;
}): RunStreams {
  const { feeds, openStream, clock, closing, onError } = options;

  return {
    open(c, { expiresAt }) {
      const { peer, response, onClosed } = openEventStream(c, { openStream, clock });
      const listeners: ((left: boolean) => void)[] = [];
      let over: { readonly left: boolean } | null = null;
      let stopTimer = (): void => {};

      function finish(left: boolean): void {
        if (over) return;
        over = { left };
        stopTimer();
        for (const run of listeners.splice(0)) run(left);
      }
      const stream: RunStream = {
        peer,
        response,
        meta: (event) =>
          peer.send(peer.wire.frame(writeSse({ event: event.event, data: JSON.stringify(event) }))),
        fail({ code, message }) {
          if (over) return;
          onError?.(code);
          stream.meta({ event: 'error', error: message, code });
          stream.end();
        },
        end() {
          finish(false);
          peer.close(1000, 'the stream has ended');
        },
        onOver(run) {
          if (over) run(over.left);
          else listeners.push(run);
        },
      };
      if (expiresAt !== undefined) stopTimer = clock.schedule(expiresAt, () => stream.fail(TOKEN_ENDED));
      onClosed(() => finish(true));
      return stream;
    },

    follow(run, head, { after, to, until, view = 'exact', caughtUp, left }) {
      const { peer } = to;
      const collapsed = view === 'collapsed';
      const dialect = (collapsed ? collapsedRunDialect : runDialect)(peer.wire, run.sessionId);
      let paused = false;
      const look = (): void => {
        if (paused && until === 'pause') to.end();
      };
      const feed = feeds.open({
        log: run.log,
        head,
        after: { epoch: head.epoch, offset: after },
        peer,
        dialect,
        ...(collapsed && { step: COLLAPSED_STEP }),
        replay: { until: head.offset, dialect, done: until === 'now' ? to.end : () => caughtUp?.() },
        onMoved(sent) {
          paused = isPausedAfter(sent, paused);
          if (feed.live) look(); // on the way there a pause may be one that is over
          leaver.look();
        },
        onHead: look,
        onReset({ reason, from, to: goesOn }) {
          to.meta({ event: 'gap', run_id: run.runId, reason, from: from.offset, to: goesOn.offset });
          return goesOn;
        },
        onEnd: to.end,
      });
      const leaver = closing.enter({
        log: run.log,
        head,
        position: () => feed.position.offset,
        end: to.end,
      });
      to.onOver((hasLeft) => {
        leaver.leave();
        feed.close();
        if (hasLeft) left?.();
      });
    },
  };
}
