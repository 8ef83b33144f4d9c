import { RUN_ROUTES } from '@continuo/protocol';
import { Hono } from 'hono';
import { describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { ALICE, openGateway, TWO_PEOPLE } from '../../test/gateway.ts';
import { beginRun } from '../../test/run-world.ts';
import { createOpenApi, describeRoutes } from './openapi.ts';

/** As much of OpenAPI 3.1 as the document uses, and nothing beside it. */
const Schema = z.record(z.string(), z.unknown());
const Content = z.record(
  z.string().regex(/^[\w-]+\/[\w-]+$/),
  z.looseObject({ schema: Schema }).refine((media) => Object.keys(media).every(isMediaKey)),
);
const Operation = z.strictObject({
  operationId: z.string().regex(/^[a-zA-Z]+$/),
  summary: z.string().regex(/\.$/),
  tags: z.array(z.string()).length(1),
  parameters: z
    .array(
      z.strictObject({
        name: z.string(),
        in: z.enum(['path', 'query', 'header']),
        required: z.boolean().optional(),
        description: z.string().optional(),
        schema: Schema,
      }),
    )
    .optional(),
  requestBody: z.strictObject({ required: z.boolean(), content: Content }).optional(),
  responses: z.record(
    z.string().regex(/^[2-5]\d\d$/),
    z.strictObject({ description: z.string().min(1), content: Content.optional() }),
  ),
  security: z.array(z.record(z.string(), z.array(z.string()))).optional(),
});
const Document = z.strictObject({
  openapi: z.literal('3.1.0'),
  info: z.strictObject({ title: z.string(), version: z.string(), description: z.string() }),
  servers: z.array(z.strictObject({ url: z.string() })).optional(),
  paths: z.record(z.string().startsWith('/'), z.partialRecord(z.enum(['get', 'post', 'delete']), Operation)),
  components: z.strictObject({
    schemas: z.record(z.string(), Schema),
    securitySchemes: z.record(
      z.string(),
      z.discriminatedUnion('type', [
        z.strictObject({ type: z.literal('http'), scheme: z.string() }),
        z.strictObject({
          type: z.literal('apiKey'),
          in: z.enum(['query', 'header', 'cookie']),
          name: z.string(),
        }),
      ]),
    ),
  }),
  security: z.array(z.record(z.string(), z.array(z.string()))),
});
const document = Document.parse(describeRoutes('1.2.3'));

function isMediaKey(key: string): boolean {
  return key === 'schema' || key.startsWith('x-');
}

/** Every `$ref` in it, wherever. */
function refsIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => (key === '$ref' ? [String(inner)] : refsIn(inner)));
}

/** A schema of the document that stands alone, as a check. */
function checkOf(schema: z.infer<typeof Schema>): z.ZodType {
  const text = JSON.stringify({ ...schema, $defs: document.components.schemas });
  return z.fromJSONSchema(JSON.parse(text.replaceAll('#/components/schemas/', '#/$defs/')));
}

function answerOf(path: string, status: number, method: 'get' | 'post' = 'get'): z.ZodType {
  const schema = document.paths[path]?.[method]?.responses[status]?.content?.['application/json']?.schema;
  if (!schema) throw new Error(`${method} ${path} has no JSON for ${status}`);
  return checkOf(schema);
}

describe('the description of door 4', () => {
  it('R-25 is at /openapi.json, for everybody', async () => {
    const { get } = openGateway({ tokens: TWO_PEOPLE, version: '1.2.3' });
    const { status, body } = await get('/openapi.json');
    expect(status).toBe(200);
    expect(Document.parse(body)).toEqual({ ...document, servers: [{ url: '/' }] });
  });

  it('R-25 has what it refers to, and every path has its parameters', () => {
    for (const ref of refsIn(document)) {
      expect(document.components.schemas).toHaveProperty(ref.replace('#/components/schemas/', ''));
    }
    for (const [path, operations] of Object.entries(document.paths)) {
      const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      for (const operation of Object.values(operations)) {
        const said = (operation.parameters ?? []).filter((parameter) => parameter.in === 'path');
        expect(said.map(({ name }) => name)).toEqual(named);
        expect(said.every(({ required }) => required)).toBe(true);
      }
    }
  });

  it('R-25 says which bodies are needed, and what a run is asked with', () => {
    const start = document.paths['/agents/{id}/runs']?.post;
    expect(start?.requestBody?.required).toBe(true);
    expect(Object.keys(start?.requestBody?.content ?? {})).toEqual([
      'application/json',
      'application/x-www-form-urlencoded',
      'multipart/form-data',
    ]);
    expect(document.paths['/agents/{id}/runs/{run_id}/resume']?.post?.requestBody?.required).toBe(false);
    expect(document.components.schemas.RunRequest).toMatchObject({
      required: ['message'],
      properties: { message: { $ref: '#/components/schemas/Content' } },
    });
  });

  it('R-25 names both ways to show a token, and the refusals that any route may give', () => {
    const { securitySchemes } = document.components;
    expect(Object.values(securitySchemes)).toContainEqual({ type: 'apiKey', in: 'query', name: 'token' });
    expect(document.security).toEqual(Object.keys(securitySchemes).map((scheme) => ({ [scheme]: [] })));
    for (const [path, operations] of Object.entries(document.paths)) {
      for (const [method, { responses }] of Object.entries(operations))
        expect([method, path, Object.keys(responses)]).toEqual([
          method,
          path,
          expect.arrayContaining(['403', '500', '503']),
        ]);
    }
    expect(document.paths['/agents/{id}/runs/{run_id}/steer']?.post?.responses).toHaveProperty('429');
  });

  it('R-25 has the words of a run that failed', async () => {
    const { run, world, path } = await beginRun({}, {}, [expect.stringContaining('failed: Error: gone')]);
    run.fail(new Error('gone'));
    await world.clock.settle();
    const { body } = await world.get(path(''));
    const schema = document.components.schemas.RunOutput;
    expect(body).toMatchObject({ status: 'ERROR', error: expect.any(String) });
    const known = Object.keys((schema?.properties ?? {}) as object);
    expect(Object.keys(body as object).filter((field) => !known.includes(field))).toEqual([]);
  });

  it('R-25 has what real requests are answered with', async () => {
    const { post, get, ask, clock } = openGateway();
    const run = await post('/agents/echo/runs', { message: 'hi', stream: false, session_id: 's1' });
    answerOf('/agents/{id}/runs', 200, 'post').parse(run.body);
    const { run_id: runId } = run.body as { run_id: string };
    const accepted = await post('/agents/clerk/runs', { message: 'jump', stream: false, background: true });
    answerOf('/agents/{id}/runs', 202, 'post').parse(accepted.body);
    await clock.advance(1_000);
    const [asked] = (await get('/approvals')).body as { approval_id: string }[];

    for (const [path, filled] of [
      ['/agents', '/agents'],
      ['/teams/{id}', '/teams/pair'],
      ['/agents/{id}/runs', '/agents/echo/runs?session_id=s1'],
      ['/agents/{id}/runs/{run_id}', `/agents/echo/runs/${runId}`],
      ['/runs', '/runs'],
      ['/runs/{run_id}', `/runs/${runId}`],
      ['/sessions', '/sessions'],
      ['/sessions/{session_id}/runs', '/sessions/s1/runs'],
      ['/approvals', '/approvals'],
      ['/approvals/{approval_id}', `/approvals/${asked?.approval_id}`],
      ['/memories', '/memories'],
      ['/config', '/config'],
    ] as const) {
      const { status, body } = await get(filled);
      expect([filled, status]).toEqual([filled, 200]);
      answerOf(path, 200).parse(body);
      expect(() => answerOf(path, 200).parse('nothing of the kind')).toThrow();
    }
    const path = '/approvals/{approval_id}';
    const answer = { form: { approved: 'yes' } };
    const first = await ask('POST', `/approvals/${asked?.approval_id}`, answer).answer();
    answerOf(path, 200, 'post').parse(first.body);
    const second = await ask('POST', `/approvals/${asked?.approval_id}`, answer).answer();
    answerOf(path, 409, 'post').parse(second.body);
    answerOf('/runs/{run_id}', 404).parse((await get('/runs/none')).body);
    answerOf('/agents/{id}/runs', 422, 'post').parse((await post('/agents/echo/runs', {})).body);
  });

  it('R-25 has every route that there is, and there is every route that it has', async () => {
    const mounts = vi.spyOn(Hono.prototype, 'route');
    openGateway();
    const app = mounts.mock.contexts.filter((context) => context instanceof Hono).at(-1);
    mounts.mockRestore();
    const shape = (path: string): string => path.replaceAll(/\{\w+\}|:\w+/g, '*');
    const described = RUN_ROUTES.map(({ method, path }) => `${method.toUpperCase()} ${shape(path)}`);
    const there = new Set(
      (app?.routes ?? [])
        .filter(({ method, path }) => method !== 'ALL' && isOfDoor4(path))
        .map(({ method, path }) => `${method} ${shape(path)}`),
    );
    expect(there).toEqual(new Set(described));
  });

  it('R-25 says where a server is that is part of another one', async () => {
    const routes = createOpenApi({ version: '1', prefixOf: () => '/continuo' });
    const answer = await routes.request('/openapi.json');
    expect(Document.parse(await answer.json()).servers).toEqual([{ url: '/continuo' }]);
  });
});

/** All that is neither a page for anybody, nor of channels. */
function isOfDoor4(path: string): boolean {
  return (
    !['/', '/*', '/health', '/live', '/ready', '/info', '/metrics'].includes(path) &&
    !path.startsWith('/api/')
  );
}

describe('a method that a path has not', () => {
  it.each([
    ['DELETE', '/agents', 'GET'],
    ['PUT', '/agents/echo/runs', 'POST, GET'],
    ['GET', '/agents/echo/runs/run_1/resume', 'POST'],
    ['PATCH', '/approvals/apr_1', 'GET, POST'],
    ['POST', '/memories', 'GET, DELETE'],
    ['OPTIONS', '/runs', 'GET'],
  ])('R-25 %s %s is 405, with those that it has', async (method, path, allowed) => {
    const { ask } = openGateway({ tokens: TWO_PEOPLE });
    const { status, headers, body } = await ask(method, path, { token: ALICE }).answer();
    expect([status, headers.get('allow')]).toEqual([405, allowed]);
    const detail = expect.stringMatching(`There is no ${method} of this path`);
    expect(body).toEqual({ detail, code: 'bad_request' });
  });
});
