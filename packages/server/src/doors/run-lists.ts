import {
  type Component,
  type ConfigJson,
  type MemoryJson,
  type RunSummary,
  type SessionJson,
  SessionQuery,
  WireError,
} from '@continuo/protocol';
import { type Context, Hono } from 'hono';
import type { Authenticate } from '../auth/authenticate.ts';
import { demand, may, type Principal } from '../core/access.ts';
import type { MemoryBook } from '../core/memories.ts';
import { listingOf, type Runs } from '../core/runs.ts';
import type { SessionRecord, Sessions } from '../core/sessions.ts';
import type { Logs } from '../ports.ts';
import { credentialOf, parseBody } from './http.ts';
import { answerErrors, type RunErrorOptions } from './run-errors.ts';
import { summaryOf, whoseOf } from './run-json.ts';

/** Door 4: what there is of runs, sessions and memories, and what runs here. */

export interface RunListsOptions extends RunErrorOptions {
  readonly runs: Runs;
  readonly logs: Logs;
  readonly sessions: Sessions;
  readonly memories: MemoryBook;
  readonly components: readonly Component[];
  readonly authenticate: Authenticate;
  readonly storeName: string;
  readonly version: string;
  /** Whether channels are on. */
  readonly push: boolean;
}

export function createRunLists(options: RunListsOptions): Hono {
  const { runs, logs, sessions, memories, components, authenticate } = options;
  const routes = new Hono();

  const asker = (c: Context): Promise<Principal> => authenticate(credentialOf(c));
  const sessionAsked = (c: Context): string | undefined =>
    parseBody(SessionQuery, c.req.query(), 'invalid').session_id;

  async function listRuns(
    principal: Principal,
    which: { readonly component?: Component; readonly sessionId?: string | undefined },
  ): Promise<RunSummary[]> {
    const isWanted = (component: string): boolean => mayUse(principal, component);
    const found = await runs.list(principal.user, { ...which, isWanted });
    return found.map(({ run, standing }) => summaryOf(run, standing, components));
  }

  for (const kind of ['agent', 'team', 'workflow'] as const) {
    routes.get(`/${kind}s/:id/runs`, async (c) => {
      const principal = await asker(c);
      const component = components.find((each) => each.kind === kind && each.id === c.req.param('id'));
      if (!component) throw new WireError('not_found', `${kind[0]?.toUpperCase()}${kind.slice(1)} not found`);
      demand(principal, 'write', 'agents', component.id);
      return c.json(await listRuns(principal, { component, sessionId: sessionAsked(c) }));
    });
  }

  routes.get('/runs', async (c) => {
    const principal = await asker(c);
    return c.json(await listRuns(principal, { sessionId: sessionAsked(c) }));
  });

  routes.get('/runs/:runId', async (c) => {
    const principal = await asker(c);
    const run = await runs.find(principal.user, null, c.req.param('runId'));
    if (!run || !mayUse(principal, run.component)) throw new WireError('not_found', 'Run not found');
    const [head] = await logs.heads([run.log]);
    const standing = head ? await runs.standing(run, head) : 'pending';
    return c.json(summaryOf(listingOf(run), standing, components));
  });

  routes.get('/sessions', async (c) => {
    const principal = await asker(c);
    const found = await sessions.list(principal.user, (component) => mayUse(principal, component));
    return c.json(found.map((session) => sessionOf(session, components)));
  });

  routes.get('/sessions/:id/runs', async (c) => {
    const principal = await asker(c);
    const session = await sessions.find(principal.user, c.req.param('id'));
    if (!session || !mayUse(principal, session.component))
      throw new WireError('not_found', 'Session not found');
    return c.json(await listRuns(principal, { sessionId: session.sessionId }));
  });

  /** Memories are about a person, not of one agent: whoever may talk to any agent here sees and forgets them. */
  async function remembered(c: Context): Promise<Principal> {
    const principal = await asker(c);
    if (components.some(({ id }) => may(principal, 'write', 'agents', id))) return principal;
    throw new WireError('forbidden', 'This token does not allow write on any agent here.');
  }

  routes.get('/memories', async (c) => {
    const { user } = await remembered(c);
    const found: MemoryJson[] = (await memories.list(user)).map(({ memoryId, text, createdAt }) => ({
      memory_id: memoryId,
      memory: text,
      created_at: Math.floor(createdAt / 1000),
    }));
    return c.json(found);
  });

  routes.delete('/memories/:id', async (c) => {
    const { user } = await remembered(c);
    if (!(await memories.remove(user, c.req.param('id'))))
      throw new WireError('not_found', 'Memory not found');
    return c.body(null, 204);
  });

  routes.delete('/memories', async (c) => {
    const { user } = await remembered(c);
    await memories.clear(user);
    return c.body(null, 204);
  });

  routes.get('/config', async (c) => {
    await asker(c);
    return c.json(configOf(options));
  });

  answerErrors(routes, options);
  return routes;
}

/** The scope that starting a run takes: who may start one may see what came of it. */
function mayUse(principal: Principal, component: string): boolean {
  return may(principal, 'write', 'agents', component.slice(component.indexOf(':') + 1));
}

function sessionOf(session: SessionRecord, components: readonly Component[]): SessionJson {
  return {
    session_id: session.sessionId,
    ...whoseOf(session.component, components),
    created_at: Math.floor(session.createdAt / 1000),
  };
}

function configOf({ components, storeName, version, push }: RunListsOptions): ConfigJson {
  const those = (wanted: Component['kind']): { id: string; name: string }[] =>
    components.filter(({ kind }) => kind === wanted).map(({ id, name }) => ({ id, name }));
  return {
    os_id: 'continuo',
    name: 'continuo',
    version,
    databases: [storeName],
    agents: those('agent'),
    teams: those('team'),
    workflows: those('workflow'),
    doors: { gateway: true, push, runs: true },
  };
}
