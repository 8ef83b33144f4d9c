import { type Component, type ErrorCode, SessionQuery, WireError } from '@continuo/protocol';
import { type Context, Hono } from 'hono';
import type { Authenticate } from '../auth/authenticate.ts';
import { demand } from '../core/access.ts';
import type { Approvals } from '../core/approvals.ts';
import type { Feeds } from '../core/feed.ts';
import type { MemoryBook } from '../core/memories.ts';
import type { Runs } from '../core/runs.ts';
import type { Sessions } from '../core/sessions.ts';
import type { Steering } from '../core/steering.ts';
import type { Workers } from '../core/worker.ts';
import type { Clock, Logs, OpenStream, Report } from '../ports.ts';
import { credentialOf, parseBody, statusOf } from './http.ts';
import { createAnswerRun } from './run-answer.ts';
import { findRun, type RunAsked } from './run-asked.ts';
import { createClosing } from './run-closing.ts';
import { createRunCommands } from './run-commands.ts';
import { createContinueRun } from './run-continue.ts';
import { describeComponent, outputOf } from './run-json.ts';
import { createPollRun } from './run-poll.ts';
import { createRunReads } from './run-reads.ts';
import { createRunResume } from './run-resume.ts';
import { createStartRun } from './run-start.ts';
import { createRunStreams } from './run-stream.ts';
import { toWireError } from './socket.ts';

/** Door 4: runs. A run is a log that ends; its stream, its resume and its replay are one feed from one position. */

export interface RunsDoorOptions {
  readonly runs: Runs;
  readonly logs: Logs;
  readonly feeds: Feeds;
  readonly workers: Workers;
  readonly sessions: Sessions;
  readonly approvals: Approvals;
  readonly steering: Steering;
  readonly memories: MemoryBook;
  readonly components: readonly Component[];
  readonly authenticate: Authenticate;
  readonly openStream: OpenStream;
  readonly clock: Clock;
  readonly report: Report;
  /** For `db_id`: the name of the store. */
  readonly storeName: string;
  /** Called for every error that a client is told. */
  readonly onError?: (code: ErrorCode) => void;
}

export interface RunsDoor {
  readonly routes: Hono;
  /**
   * Ends every stream and every request that waits, each when it has all that is stored now: no run ends by it. Resolves
   * when all of them know.
   */
  close(): Promise<void>;
}

export function createRunsDoor(options: RunsDoorOptions): RunsDoor {
  const { runs, components, authenticate, report, storeName } = options;
  const closing = createClosing(options.logs);
  const streams = createRunStreams({ ...options, closing });
  const reads = createRunReads({ ...options, closing });
  const answer = createAnswerRun({ ...options, streams, reads });
  const start = createStartRun({ runs, answer });
  const goOn = createContinueRun({ ...options, answer });
  const { cancel, steer } = createRunCommands(options);
  const { resume, events } = createRunResume({
    ...options,
    streams,
    poll: createPollRun({ ...options, reads }),
  });
  const routes = new Hono();

  async function show(asked: RunAsked): Promise<Response> {
    const { session_id } = parseBody(SessionQuery, asked.c.req.query(), 'invalid');
    const run = await findRun(runs, asked, session_id);
    return asked.c.json(outputOf(await runs.report(run), run, asked.component));
  }

  for (const kind of ['agent', 'team', 'workflow'] as const) {
    const known = components.filter((component) => component.kind === kind);
    const find = (c: Context): Component => {
      const component = known.find((each) => each.id === c.req.param('id'));
      if (!component) throw new WireError('not_found', `${kind[0]?.toUpperCase()}${kind.slice(1)} not found`);
      return component;
    };
    /** Who asks comes first: what there is is nobody else's business. */
    const entitled =
      (handle: (asked: RunAsked) => Promise<Response>) =>
      async (c: Context): Promise<Response> => {
        const principal = await authenticate(credentialOf(c));
        const component = find(c);
        demand(principal, 'write', 'agents', component.id);
        return handle({ c, component, principal });
      };
    routes.get(`/${kind}s`, async (c) => {
      await authenticate(credentialOf(c));
      return c.json(known.map((component) => describeComponent(component, storeName)));
    });
    routes.get(`/${kind}s/:id`, async (c) => {
      await authenticate(credentialOf(c));
      return c.json(describeComponent(find(c), storeName));
    });
    const run = `/${kind}s/:id/runs/:runId`;
    routes.post(`/${kind}s/:id/runs`, entitled(start));
    routes.get(run, entitled(show));
    routes.get(`${run}/events`, entitled(events));
    routes.post(`${run}/resume`, entitled(resume));
    routes.post(`${run}/continue`, entitled(goOn));
    routes.post(`${run}/cancel`, entitled(cancel));
    routes.post(`${run}/steer`, entitled(steer));
  }

  routes.onError((error, c) => {
    const { code, message, details } = toWireError(error, report);
    options.onError?.(code);
    return c.json({ detail: message, ...details, code }, statusOf(code) as 400);
  });
  return { routes, close: closing.close };
}
