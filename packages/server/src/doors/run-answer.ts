import type { RunAccepted, RunStatus } from '@continuo/protocol';
import type { Run, Runs } from '../core/runs.ts';
import type { Workers } from '../core/worker.ts';
import type { Head, Report } from '../ports.ts';
import type { RunAsked } from './run-asked.ts';
import { outputOf, STATUS } from './run-json.ts';
import type { RunReads } from './run-reads.ts';
import type { RunStreams } from './run-stream.ts';

/** How a request that started a run, or made it go on, is answered: R-5. */

export interface RunAnswer {
  readonly run: Run;
  readonly head: Head;
  /** The offset after which the run is the request's. */
  readonly after: number;
  readonly stream: boolean;
  readonly background: boolean;
  /** The run goes on for this request, and for no other: without it, it ends. */
  readonly isOwn: boolean;
  /** What a request in the background is told. Default: how the run stands. */
  readonly status?: RunStatus;
}

export type AnswerRun = (asked: RunAsked, answer: RunAnswer) => Promise<Response>;

export function createAnswerRun(options: {
  readonly runs: Runs;
  readonly workers: Workers;
  readonly streams: RunStreams;
  readonly reads: RunReads;
  readonly report: Report;
}): AnswerRun {
  const { runs, workers, streams, reads, report } = options;

  return async ({ c, component, principal }, { run, head, after, stream, background, isOwn, status }) => {
    if (stream) {
      const to = streams.open(c, principal);
      const left = (): void => {
        const cancelled = workers.cancel(run, 'Its client has gone.');
        cancelled.catch((error: unknown) => report(`cancelling ${run.runId}`, error));
      };
      streams.follow(run, head, { after, to, until: 'pause', ...(isOwn && !background && { left }) });
      return to.response;
    }
    if (background) {
      const accepted: RunAccepted = {
        run_id: run.runId,
        session_id: run.sessionId,
        status: status ?? STATUS[await runs.standing(run, head)],
      };
      return c.json(accepted, 202);
    }
    await reads.untilStill({ run, head, after, principal, signal: c.req.raw.signal });
    return c.json(outputOf(await runs.report(run), run, component));
  };
}
