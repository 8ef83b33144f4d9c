import {
  type Component,
  componentFields,
  type ErrorCode,
  ResumeRequest,
  type RunOutput,
  RunRequest,
  toRun,
  WireError,
} from '@continuo/protocol';
import { type Context, Hono } from 'hono';
import type { Authenticate } from '../auth/authenticate.ts';
import { demand, type Principal } from '../core/access.ts';
import type { Approvals } from '../core/approvals.ts';
import type { Feeds } from '../core/feed.ts';
import type { MemoryBook } from '../core/memories.ts';
import type { Run, Runs } from '../core/runs.ts';
import type { Sessions } from '../core/sessions.ts';
import type { Steering } from '../core/steering.ts';
import type { Workers } from '../core/worker.ts';
import type { Clock, Logs, OpenStream, Report } from '../ports.ts';
import { credentialOf, parseBody, readBody, statusOf } from './http.ts';
import { describeComponent, errorOf, STATUS } from './run-json.ts';
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

export function createRunsDoor(options: RunsDoorOptions): Hono {
  const { runs, logs, workers, components, authenticate, report, storeName } = options;
  const streams = createRunStreams(options);
  const routes = new Hono();

  type Find = (c: Context) => Component;
  /** Who asks comes first: what there is is nobody else's business. */
  async function entitled(c: Context, find: Find): Promise<{ component: Component; principal: Principal }> {
    const principal = await authenticate(credentialOf(c));
    const component = find(c);
    demand(principal, 'write', 'agents', component.id);
    return { component, principal };
  }

  async function outputOf(run: Run, component: Component): Promise<RunOutput> {
    const { state, entries } = await runs.report(run);
    const content = state?.text ?? '';
    return {
      run_id: run.runId,
      session_id: run.sessionId,
      ...componentFields(component),
      content,
      status: state ? STATUS[state.status] : 'PENDING',
      ...(state && errorOf(state)),
      events: entries.map((entry) => toRun(entry, run.sessionId)),
      events_truncated: (entries[0]?.offset ?? 1) > 1,
      messages: [
        { role: 'user' as const, content: run.input },
        ...(content ? [{ role: 'assistant' as const, content }] : []),
      ],
      metrics: {},
      created_at: Math.floor(run.createdAt / 1000),
    };
  }

  async function resume(c: Context, find: Find): Promise<Response> {
    const { component, principal } = await entitled(c, find);
    const { last_event_index: last, session_id } = parseBody(ResumeRequest, await readBody(c), 'invalid');
    const run = await runs.find(principal.user, component, c.req.param('runId') ?? '');
    const to = streams.open(c);
    if (!run || (session_id !== undefined && session_id !== run.sessionId)) {
      to.meta({ event: 'error', error: 'There is no such run.' });
      to.peer.close(1000, 'unknown run');
      return to.response;
    }
    const head = (await logs.heads([run.log]))[0] ?? (await logs.append(run.log, [])).head;
    const standing = await runs.standing(run, head);
    const status = STATUS[standing === 'pending' ? 'running' : standing];
    const given = last !== undefined && last >= 0;
    // Every entry of a run's own log is an event of the run, so index i has offset i + 1.
    const after = given ? Math.min(last + 1, head.offset) : head.oldest - 1;
    const count = head.offset;
    if (status !== 'RUNNING') {
      to.meta({
        event: 'replay',
        run_id: run.runId,
        status,
        total_events: count,
        total_buffered: count - head.oldest + 1,
        last_event_index_requested: given ? last : -1,
        message: `The run is ${status}: its events after the index follow.`,
      });
      streams.follow(run, head, { after, to });
      return to.response;
    }
    const meta = { run_id: run.runId, status: 'running' as const, current_event_count: count };
    if (count > after) {
      to.meta({
        event: 'catch_up',
        ...meta,
        missed_events: count - after,
        message: 'The missed events follow.',
      });
    }
    const caughtUp = (): void => to.meta({ event: 'subscribed', ...meta, message: 'Live events follow.' });
    streams.follow(run, head, { after, to, caughtUp });
    return to.response;
  }

  async function start(c: Context, find: Find): Promise<Response> {
    const { component, principal } = await entitled(c, find);
    const { user } = principal;
    const request = parseBody(RunRequest, await readBody(c), 'invalid');
    const { message: input, session_id: sessionId } = request;
    const { run, head } = await runs.create({ owner: user, component, input, sessionId });
    if (request.stream) {
      const to = streams.open(c);
      const left = (): void => {
        const cancelled = workers.cancel(run, 'Its client has gone.');
        cancelled.catch((error: unknown) => report(`cancelling ${run.runId}`, error));
      };
      streams.follow(run, head, { after: 0, to, ...(!request.background && { left }) });
      return to.response;
    }
    if (request.background) {
      return c.json({ run_id: run.runId, session_id: run.sessionId, status: 'PENDING' }, 202);
    }
    await streams.untilEnded(run, head, c.req.raw.signal);
    return c.json(await outputOf(run, component));
  }

  for (const kind of ['agent', 'team', 'workflow'] as const) {
    const known = components.filter((component) => component.kind === kind);
    const find = (c: Context): Component => {
      const component = known.find((each) => each.id === c.req.param('id'));
      if (!component) throw new WireError('not_found', `${kind[0]?.toUpperCase()}${kind.slice(1)} not found`);
      return component;
    };
    routes.get(`/${kind}s`, async (c) => {
      await authenticate(credentialOf(c));
      return c.json(known.map((component) => describeComponent(component, storeName)));
    });
    routes.get(`/${kind}s/:id`, async (c) => {
      await authenticate(credentialOf(c));
      return c.json(describeComponent(find(c), storeName));
    });
    routes.post(`/${kind}s/:id/runs`, (c) => start(c, find));
    routes.post(`/${kind}s/:id/runs/:runId/resume`, (c) => resume(c, find));
    routes.get(`/${kind}s/:id/runs/:runId`, async (c) => {
      const { component, principal } = await entitled(c, find);
      const run = await runs.find(principal.user, component, c.req.param('runId'));
      const sessionId = c.req.query('session_id');
      if (!run || (sessionId !== undefined && sessionId !== run.sessionId)) {
        throw new WireError('not_found', 'Run not found');
      }
      return c.json(await outputOf(run, component));
    });
  }

  routes.onError((error, c) => {
    const { code, message } = toWireError(error, report);
    options.onError?.(code);
    return c.json({ detail: message }, statusOf(code) as 400);
  });
  return routes;
}
