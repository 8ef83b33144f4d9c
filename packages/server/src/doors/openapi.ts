import {
  type ErrorCode,
  RUN_ROUTES,
  RUN_SCHEMAS,
  type RunAnswer,
  type RunRoute,
  type RunSchemaName,
} from '@continuo/protocol';
import { Hono } from 'hono';
import { z } from 'zod';

/** Door 4 as OpenAPI 3.1, made from the table of its routes and their schemas; and what it answers to other methods. */

type Json = Readonly<Record<string, unknown>>;

export interface OpenApiOptions {
  readonly version: string;
  /** What stands before every path where this is part of another server: such as `/continuo`, or nothing. */
  prefixOf(env: unknown): string;
}

const JSON_TYPE = 'application/json';
const FORM_TYPES = ['application/x-www-form-urlencoded', 'multipart/form-data'];

/** Needs no token, as /info: it says nothing of what runs here. */
export function createOpenApi({ version, prefixOf }: OpenApiOptions): Hono {
  const routes = new Hono();
  let document: Json | null = null;
  routes.get('/openapi.json', (c) => {
    document ??= describeRoutes(version);
    return c.json({ ...document, servers: [{ url: prefixOf(c.env) || '/' }] });
  });
  return routes;
}

/** After all other routes: a path of door 4 asked with a method that it has not is 405, with those that it has. */
export function createMethodRefusals(): Hono {
  const routes = new Hono();
  for (const path of new Set(RUN_ROUTES.map((route) => route.path))) {
    const methods = RUN_ROUTES.filter((route) => route.path === path).map(({ method }) =>
      method.toUpperCase(),
    );
    routes.all(path.replace(/\{(\w+)\}/g, ':$1'), (c) => {
      c.header('allow', methods.join(', '));
      const problem = `There is no ${c.req.method} of this path. It takes ${methods.join(' and ')}.`;
      return c.json({ detail: problem, code: 'bad_request' satisfies ErrorCode }, 405);
    });
  }
  return routes;
}

export function describeRoutes(version: string): Json {
  const schemas = describeSchemas();
  const paths: Record<string, Record<string, Json>> = {};
  for (const route of RUN_ROUTES) {
    paths[route.path] = { ...paths[route.path], [route.method]: operationOf(route, schemas) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Continuo: runs',
      version,
      description:
        'Runs of agents, teams and workflows over HTTP and server-sent events. PROTOCOL.md has the rules.',
    },
    paths,
    components: {
      schemas,
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer' },
        // An EventSource can set no headers.
        token: { type: 'apiKey', in: 'query', name: 'token' },
      },
    },
    security: [{ bearer: [] }, { token: [] }],
  };
}

function operationOf(route: RunRoute, schemas: Schemas): Json {
  const { name, does, body, isOpen } = route;
  const parameters = parametersOf(route, schemas);
  return {
    operationId: name,
    summary: does,
    tags: [route.path.split('/')[1]?.replace('.json', '')],
    ...(parameters.length > 0 && { parameters }),
    ...(body && {
      requestBody: {
        required: isRequired(body),
        content: contentOf([JSON_TYPE, ...FORM_TYPES], refTo(body)),
      },
    }),
    responses: responsesOf(route),
    ...(isOpen && { security: [] }),
  };
}

function isRequired(body: RunSchemaName): boolean {
  return !RUN_SCHEMAS[body].safeParse({}).success;
}

function parametersOf({ path, query, headers = {} }: RunRoute, schemas: Schemas): readonly Json[] {
  const { properties = {}, required = [] } = (query && schemas[query]) ?? {};
  return [
    ...[...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
      name,
      in: 'path',
      required: true,
      schema: { type: 'string' },
    })),
    ...Object.entries(properties).map(([name, schema]) => ({
      name,
      in: 'query',
      required: required.includes(name),
      schema,
    })),
    ...Object.entries(headers).map(([name, description]) => ({
      name,
      in: 'header',
      description,
      schema: { type: 'string' },
    })),
  ];
}

function responsesOf({ answers, refusals }: RunRoute): Json {
  const responses: Record<string, { description: string; content?: Record<string, unknown> }> = {};
  for (const answer of answers) {
    const before = responses[answer.status];
    responses[answer.status] = {
      description: [before?.description, answer.what].filter(Boolean).join(' '),
      ...((before?.content || answer.schema || answer.isStream) && {
        content: { ...before?.content, ...bodyOf(answer) },
      }),
    };
  }
  for (const [status, description] of Object.entries(refusals))
    responses[status] ??= { description, content: contentOf([JSON_TYPE], refTo('ErrorJson')) };
  return responses;
}

function bodyOf({ schema, isList, isStream }: RunAnswer): Record<string, unknown> {
  if (isStream) return { 'text/event-stream': STREAM };
  if (!schema) return {};
  return contentOf([JSON_TYPE], isList ? { type: 'array', items: refTo(schema) } : refTo(schema));
}

function contentOf(types: readonly string[], schema: Json): Record<string, unknown> {
  return Object.fromEntries(types.map((type) => [type, { schema }]));
}

function refTo(name: RunSchemaName): Json {
  return { $ref: `#/components/schemas/${name}` };
}

/** 3.1 has no word for a stream of events: what their `data` lines hold stands beside the text. */
const STREAM: Json = {
  schema: {
    type: 'string',
    description: 'Server-sent events: `event`, `id` (its index) and `data`, one line of JSON.',
  },
  'x-event-data': {
    anyOf: (['RunEventJson', 'CatchUp', 'Subscribed', 'Replay', 'Gap', 'ResumeError'] as const).map(refTo),
  },
};

interface ObjectSchema {
  readonly properties?: Readonly<Record<string, unknown>>;
  readonly required?: readonly string[];
}

type Schemas = Readonly<Record<string, ObjectSchema>>;

/** As it is asked for: what is filled in by default need not be there, and answers may have more than is said. */
function describeSchemas(): Schemas {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(RUN_SCHEMAS)) registry.add(schema, { id });
  const { schemas } = z.toJSONSchema(registry, {
    io: 'input',
    uri: (id) => `#/components/schemas/${id}`,
    override({ zodSchema, jsonSchema }) {
      // The message of a run is `unknown` until it is checked: a sentence for who sends none.
      if (zodSchema === RUN_SCHEMAS.RunRequest.shape.message) Object.assign(jsonSchema, refTo('Content'));
    },
  });
  return Object.fromEntries(Object.entries(schemas).map(([id, schema]) => [id, withoutNames(schema)]));
}

/** A schema within a document needs no name and no dialect of its own. */
function withoutNames(schema: Json): ObjectSchema {
  return Object.fromEntries(Object.entries(schema).filter(([key]) => key !== '$schema' && key !== '$id'));
}
