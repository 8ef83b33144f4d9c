import { request } from 'node:http';
import { RUN_ROUTES, type RunRoute } from '@continuo/protocol';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { BODIES } from './bad-run-fields.ts';
import {
  ALICE,
  type Answer,
  type BadRuns,
  type Belongings,
  BOB,
  NARROW,
  openBadRuns,
  READER,
} from './bad-runs.ts';

/** Requests of door 4 by who may not make them, about what is not theirs, and about what cannot be. */

let world: BadRuns;
beforeAll(async () => {
  world = await openBadRuns();
});
afterAll(() => world.close());
afterEach(() => world.check());

const rows = RUN_ROUTES.map((route) => [route.name, route] as const);
const withIds = rows.filter(([, { path }]) => /\{(?:run|approval|memory|session)_id\}/.test(path));
const COMPONENT = { agents: 'clerk', teams: 'pair', workflows: 'chain' };

/** Ids that nobody has, as long as those that Alice has. */
function strangeIds(ids: Belongings): Belongings {
  const other = (id: string): string => id.replace(/\w{20}$/, 'Z'.repeat(20));
  return {
    run: other(ids.run),
    other: other(ids.other),
    approval: other(ids.approval),
    memory: other(ids.memory),
    session: other(ids.session),
  };
}

function pathOf({ path }: RunRoute, { run, other, approval, memory, session }: Belongings): string {
  const [, kind = ''] = path.split('/');
  return path
    .replace('{id}', COMPONENT[kind as keyof typeof COMPONENT] ?? '')
    .replace('{run_id}', kind === 'teams' ? other : run)
    .replace('{approval_id}', approval)
    .replace('{memory_id}', memory)
    .replace('{session_id}', session);
}

/** A request that is right but for who asks, and about what. */
function knock(route: RunRoute, path: string, token?: string): Promise<Answer> {
  const { method, body } = route;
  return world.ask({
    method: method.toUpperCase(),
    path,
    token,
    ...(body && {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(BODIES[body].good),
    }),
  });
}

/** The same, of a path of that route: its answer is one of those that the table has. */
async function ask(route: RunRoute, path: string, token?: string): Promise<Answer> {
  const answer = await knock(route, path, token);
  const said = [...route.answers.map(({ status }) => status), ...Object.keys(route.refusals).map(Number)];
  expect(said, `${route.name} ${path}`).toContain(answer.status);
  return answer;
}

/** All that can be seen of an answer, but for the ids in it. */
function seen({ status, headers, text }: Answer, ids: Belongings): string {
  let all = JSON.stringify([status, headers, text]);
  for (const id of Object.values(ids)) all = all.replaceAll(id, 'ID');
  return all;
}

const MISSING = expect.stringMatching(/\w \w/);

/** What names a component is refused in words; what names none shows what the token allows. */
const isOfOneComponent = /^\/(agents|teams|workflows)\/[^/]+\/runs/;

describe('who may not ask', () => {
  it.each(rows)('L-15 gets 401 without a token, or with a wrong one: %s', async (_name, route) => {
    for (const ids of [world.alices, strangeIds(world.alices)]) {
      for (const token of [undefined, 'guess', '', ALICE.slice(1), 'x'.repeat(8_000), 'a.b.c']) {
        const { status, detail } = await ask(route, pathOf(route, ids), token);
        if (route.isOpen) expect(status).toBe(200);
        else expect([status, detail]).toEqual([401, MISSING]);
      }
    }
  });

  it.each(rows)('L-15 gets 401 for other ways to present one: %s', async (_name, route) => {
    if (route.isOpen) return;
    const path = pathOf(route, world.alices);
    const method = route.method.toUpperCase();
    for (const authorization of [ALICE, `Basic ${ALICE}`, 'Bearer', `Bearer ${ALICE} ${BOB}`, `Bearer  `]) {
      const { status } = await world.ask({ method, path, headers: { authorization } });
      expect([authorization, status]).toEqual([authorization, 401]);
    }
    const { status } = await world.ask({ method, path: `${path}?token=guess` });
    expect(status).toBe(401);
  });

  it.each(rows)(
    'L-15 gets 403, or sees nothing, with a token that does not allow it: %s',
    async (_name, route) => {
      const path = pathOf(route, world.alices);
      // Memories are of a person: a token for any agent is good for them.
      const tokens = path.startsWith('/memories') ? [READER] : [READER, NARROW];
      for (const token of tokens) {
        const { status, detail, text } = await ask(route, path, token);
        if (isOfOneComponent.test(route.path) || path.startsWith('/memories'))
          expect([status, detail]).toEqual([403, MISSING]);
        else if (route.path.includes('_id}')) expect([status, detail]).toEqual([404, MISSING]);
        else expect(status).toBe(200);
        const { run, approval, session } = world.alices;
        if (status === 200) for (const id of [run, approval, session]) expect(text).not.toContain(id);
      }
    },
  );
});

describe("another owner's", () => {
  it.each(withIds)('L-10 cannot be told from an unknown one: %s', async (_name, route) => {
    const none = strangeIds(world.alices);
    const theirs = await ask(route, pathOf(route, world.alices), BOB);
    const unknown = await ask(route, pathOf(route, none), BOB);
    expect(seen(theirs, world.alices)).toBe(seen(unknown, none));
    expect(theirs.status).toBe(route.path.endsWith('/resume') ? 200 : 404);
    expect(theirs.text).toMatch(/no such run|not found|no approval/i);
  });

  it.each(withIds.filter(([, { path }]) => path.includes('{run_id}') && path !== '/runs/{run_id}'))(
    "R-4 another component's, and that of another session, cannot be told from an unknown one: %s",
    async (_name, route) => {
      const none = strangeIds(world.alices);
      const [, kind = ''] = route.path.split('/');
      const swapped = { ...world.alices, run: world.alices.other, other: world.alices.run };
      const unknown = seen(await ask(route, pathOf(route, none), ALICE), none);
      expect(seen(await ask(route, pathOf(route, swapped), ALICE), swapped)).toBe(unknown);
      if (kind === 'workflows') return; // Alice has no run of one
      const elsewhere = { session_id: 'elsewhere' };
      const path = pathOf(route, world.alices);
      const answer = route.body
        ? await world.json('POST', path, { ...BODIES[route.body].good, ...elsewhere })
        : await world.ask({ path: `${path}?session_id=elsewhere`, token: ALICE });
      expect(seen(answer, world.alices)).toBe(unknown);
    },
  );

  it('L-10 things are in no list, also where their session is asked for', async () => {
    const { run, session, approval, memory, other } = world.alices;
    for (const path of ['/runs', '/agents/clerk/runs', '/teams/pair/runs', '/workflows/chain/runs']) {
      for (const query of ['', `?session_id=${session}`, '?session_id=none']) {
        const { status, text } = await world.ask({ path: path + query, token: BOB });
        expect(status).toBe(200);
        for (const id of [run, other, session]) expect(text).not.toContain(id);
      }
    }
    for (const path of ['/sessions', '/approvals?status=all', '/memories']) {
      const { status, text } = await world.ask({ path, token: BOB });
      expect(status).toBe(200);
      for (const id of [run, other, session, approval, memory]) expect(text).not.toContain(id);
    }
  });

  it('L-10 memories stay when somebody forgets all of their own', async () => {
    for (const [, route] of rows) {
      if (route.name !== 'forgetMemories') continue;
      expect((await ask(route, route.path, BOB)).status).toBe(204);
    }
  });

  it("L-10 session's id starts a session of one's own, with nothing of theirs in it", async () => {
    const { session: session_id } = world.alices;
    const body = { message: 'mine', stream: false, background: true, session_id };
    const { status, text } = await world.json('POST', '/agents/clerk/runs', body, BOB);
    expect([status, JSON.parse(text)]).toMatchObject([202, { session_id, status: 'PENDING' }]);
    const { text: runs } = await world.ask({ path: `/sessions/${session_id}/runs`, token: BOB });
    expect(JSON.parse(runs)).toMatchObject([{ message: 'mine' }]);
  });

  it("R-11 key starts a run of one's own", async () => {
    const start = async (token: string): Promise<{ run_id: string }> => {
      const { status, text } = await world.ask({
        method: 'POST',
        path: '/agents/echo/runs',
        token,
        headers: { 'content-type': 'application/json', 'idempotency-key': 'the same' },
        body: '{"message":"hi","stream":false,"background":true}',
      });
      expect(status).toBe(202);
      return JSON.parse(text) as { run_id: string };
    };
    const [alices, again, bobs] = [await start(ALICE), await start(ALICE), await start(BOB)];
    expect(again.run_id).toBe(alices.run_id);
    expect(bobs.run_id).not.toBe(alices.run_id);
  });
});

/** As they stand in a path. */
const ODD_IDS = [
  '%00',
  'run_%00',
  '%2F',
  '..%2F..%2Fhealth',
  '%2e%2e%2f',
  '%ED%A0%80', // half a surrogate pair
  '%FF',
  '%',
  '%zz',
  '%F0%9F%98%80',
  'a%0d%0aset-cookie:%20x',
  '__proto__',
  'constructor',
  '*',
  ':id',
  '%3Aid',
  "'%20OR%201=1%20--",
  'x'.repeat(300),
  'x'.repeat(8_000),
  '%25'.repeat(500),
];

describe('an id that cannot be', () => {
  it.each(rows.filter(([, { path }]) => path.includes('{')))(
    'R-4 is unknown, and told so: %s',
    async (_name, route) => {
      const none = strangeIds(world.alices);
      for (const odd of ODD_IDS) {
        for (const [, name = ''] of route.path.matchAll(/\{(\w+)\}/g)) {
          const path = pathOf({ ...route, path: route.path.replace(`{${name}}`, odd) }, none);
          const { status, detail, text, headers } = await ask(route, path, ALICE);
          const isStream = status === 200 && route.path.endsWith('/resume');
          if (isStream) expect(text).toMatch(/^: .*\n\nevent: error\ndata: .*not_found.*\n\n$/);
          else if (name === 'id' && status === 200) expect(text).toBe('[]');
          else expect([path, status, detail]).toEqual([path, 404, MISSING]);
          expect(headers).not.toHaveProperty('set-cookie');
        }
      }
    },
  );

  it.each(['..', '.', '%2e%2e', '..;', '../..', '.%2e/'])(
    'R-4 that goes up finds nothing of others: %s',
    async (odd) => {
      for (const [, route] of rows.filter(([, { path }]) => path.includes('{'))) {
        const path = route.path.replace(/\{\w+\}/g, odd);
        const { status, text } = await knock(route, path, BOB);
        expect([path, status < 500]).toEqual([path, true]);
        for (const id of [world.alices.run, world.alices.other, world.alices.approval, world.alices.memory])
          expect(text).not.toContain(id);
      }
    },
  );

  it('R-4 that fills the headers is refused before it is looked at', async () => {
    const { status } = await world.ask({ path: `/runs/${'x'.repeat(60_000)}`, token: ALICE });
    expect([404, 414, 431]).toContain(status);
  });
});

describe('a method that a path has not', () => {
  const paths = [...new Set(RUN_ROUTES.map(({ path }) => path))];
  it.each(paths)('R-25 is 405 with a sentence: %s', async (template) => {
    const there = RUN_ROUTES.filter(({ path }) => path === template).map(({ method }) =>
      method.toUpperCase(),
    );
    const path = pathOf({ path: template } as RunRoute, world.alices);
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND']) {
      if (there.includes(method)) continue;
      for (const token of [ALICE, undefined]) {
        const { status, headers, detail } = await world.ask({ method, path, token });
        expect([method, status, detail]).toEqual([method, 405, MISSING]);
        expect(headers.allow).toBe(there.join(', '));
      }
    }
    if (!there.includes('GET')) return;
    const { status, text } = await world.ask({ method: 'HEAD', path, token: BOB });
    expect([status < 500, text]).toEqual([true, '']);
  });

  it.each(['TRACE', 'CONNECT'])('L-14 %s is refused', async (method) => {
    const status = await new Promise<number>((resolve) => {
      const asked = request({ port: world.port, host: '127.0.0.1', method, path: '/runs' });
      asked.on('response', (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      asked.on('connect', (response) => resolve(response.statusCode ?? 0));
      asked.on('error', () => resolve(0));
      asked.end();
    });
    expect([0, 400, 404, 405, 501]).toContain(status);
  });

  it.each([
    '/run',
    '/agents/echo/run',
    '/agents/echo/runs/x/stop',
    '/approval/x',
    '/openapi',
    '//runs',
    '/runs/',
  ])('R-9 a path that is none is 404 with a sentence: %s', async (path) => {
    for (const method of ['GET', 'POST', 'DELETE']) {
      const { status, detail } = await world.ask({ method, path, token: ALICE });
      expect([path, status, detail]).toEqual([path, 404, MISSING]);
    }
  });
});
