import { EventsQuery, ResumeRequest, RunHeaders, WireError } from '@continuo/protocol';
import type { Run, Runs } from '../core/runs.ts';
import type { Head, Logs, Report } from '../ports.ts';
import { parseBody, readBody } from './http.ts';
import { findRun, headOf, positionOf, type RunAsked } from './run-asked.ts';
import { STATUS } from './run-json.ts';
import type { PollRun } from './run-poll.ts';
import type { Following, RunStream, RunStreams } from './run-stream.ts';
import { toWireError } from './socket.ts';

/** The events of a run from a position on: `POST .../resume`, `GET .../events`. */

export interface RunResume {
  resume(asked: RunAsked): Promise<Response>;
  events(asked: RunAsked): Promise<Response>;
}

export function createRunResume(options: {
  readonly runs: Runs;
  readonly logs: Logs;
  readonly streams: RunStreams;
  readonly poll: PollRun;
  readonly report: Report;
}): RunResume {
  const { runs, logs, streams, poll, report } = options;

  /** Says where the run stands, and follows it: over a pause only where the stream is to stay. */
  async function follow(
    run: Run,
    head: Head,
    wanted: Pick<Following, 'to' | 'view'> & { readonly last: number | undefined; readonly stays: boolean },
  ): Promise<void> {
    const { to, view = 'exact', last, stays } = wanted;
    const standing = await runs.standing(run, head);
    const status = STATUS[standing === 'pending' ? 'running' : standing];
    const { after, requested } = positionOf(last, head);
    const count = head.offset;
    if (status !== 'RUNNING') {
      to.meta({
        event: 'replay',
        run_id: run.runId,
        status,
        total_events: count,
        total_buffered: count - head.oldest + 1,
        last_event_index_requested: requested,
        message: `The run is ${status}: its events after the index follow.`,
      });
      streams.follow(run, head, { after, to, view, until: status === 'PAUSED' && stays ? 'end' : 'now' });
      return;
    }
    const meta = { run_id: run.runId, status: 'running' as const, current_event_count: count };
    if (count > after) {
      const message = 'The missed events follow.';
      to.meta({ event: 'catch_up', ...meta, missed_events: count - after, message });
    }
    const caughtUp = (): void => to.meta({ event: 'subscribed', ...meta, message: 'Live events follow.' });
    streams.follow(run, head, { after, to, view, until: stays ? 'end' : 'pause', caughtUp });
  }

  /** The response has begun: what goes wrong now is told in it. */
  function tell(to: RunStream, work: Promise<void>): Response {
    work.catch((error: unknown) => to.fail(toWireError(error, report)));
    return to.response;
  }

  async function resume(
    asked: RunAsked,
    to: RunStream,
    { last_event_index: last, session_id }: ResumeRequest,
  ): Promise<void> {
    const { c, component, principal } = asked;
    const run = await runs.find(principal.user, component, c.req.param('runId') ?? '');
    if (!run || (session_id !== undefined && session_id !== run.sessionId))
      throw new WireError('not_found', 'There is no such run.');
    await follow(run, await headOf(logs, run), { to, last, stays: false });
  }

  return {
    async resume(asked) {
      const { c, principal } = asked;
      const request = parseBody(ResumeRequest, await readBody(c), 'invalid');
      const to = streams.open(c, principal); // whatever comes of it is told with 200
      return tell(to, resume(asked, to, request));
    },

    async events(asked) {
      const { c, principal } = asked;
      const query = parseBody(EventsQuery, c.req.query(), 'invalid');
      const { 'last-event-id': header } = parseBody(
        RunHeaders.pick({ 'last-event-id': true }),
        { 'last-event-id': c.req.header('last-event-id') || undefined },
        'invalid',
      );
      const { view, session_id, poll: ms } = query;
      const last = header ?? query.after;
      const run = await findRun(runs, asked, session_id);
      const head = await headOf(logs, run);
      if (ms !== undefined) return poll(asked, { run, head, last, view, ms });
      if (head.ended && last !== undefined && positionOf(last, head).after >= head.offset)
        return c.body(null, 204); // an EventSource comes back after every end, and stops at this
      const to = streams.open(c, principal);
      return tell(to, follow(run, head, { to, view, last, stays: true }));
    },
  };
}
