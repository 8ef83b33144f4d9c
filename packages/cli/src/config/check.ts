import { ALL_SCOPES, LIMITS, nearestKey, resolvePush } from '@continuo/server';
import { z } from 'zod';
import { type ContinuoConfig, LOG_LEVELS } from './define.ts';

/** Every message goes on after "KEY is VALUE: it". */
const text = z.string({ error: 'must be text' }).min(1, { error: 'must not be empty' });
const texts = z.array(text, { error: 'must be a list of texts' });
const flag = z.boolean({ error: 'must be true or false' });

function whole(min: number, max: number): z.ZodNumber {
  const error =
    max === Number.MAX_SAFE_INTEGER
      ? `must be a whole number, ${min} or more`
      : `must be a whole number, ${min} to ${max}`;
  return z.int({ error }).min(min, { error }).max(max, { error });
}

function oneOf(...values: readonly string[]): z.ZodType {
  return z.enum(values, { error: `must be ${values.slice(0, -1).join(', ')} or ${values.at(-1)}` });
}

function table(shape: Readonly<Record<string, z.ZodType>>): z.ZodObject {
  const optional = Object.entries(shape).map(([key, type]) => [key, type.optional()]);
  return z.strictObject(Object.fromEntries(optional), { error: 'must be an object' });
}

const retained = table({
  maxEntries: whole(1, Number.MAX_SAFE_INTEGER),
  maxBytes: whole(1, Number.MAX_SAFE_INTEGER),
});
const secret = text.refine((value) => Buffer.byteLength(value) >= 32, {
  error: 'must have at least 32 bytes: `openssl rand -hex 32` makes one',
});
const jwt = table({
  secret,
  issuer: text,
  audience: text,
  jwksUrl: text,
  jwks: z.looseObject({ keys: z.array(z.unknown()) }, { error: 'must be a key set: { keys: [...] }' }),
  algorithms: texts,
}).refine(
  ({ secret: known, jwksUrl, jwks }) =>
    [known, jwksUrl, jwks].filter((each) => each !== undefined).length === 1,
  {
    error: 'must have exactly one of secret, jwksUrl and jwks',
  },
);
const limit = z.custom(
  (value) =>
    typeof value === 'number' &&
    value >= 1 &&
    (Number.isInteger(value) || value === Number.POSITIVE_INFINITY),
  { error: 'must be a whole number, 1 or more' },
);
/** The ranges are the server's, which checks again what a program gives it. */
const limits = table({
  ...Object.fromEntries(Object.keys(LIMITS).map((name) => [name, limit])),
  maxPayloadBytes: whole(1_024, LIMITS.maxPayloadBytes),
  handshakeMs: whole(1, 600_000),
});
const component = z.looseObject(
  {
    kind: oneOf('agent', 'team', 'workflow'),
    id: text.regex(/^[\w.-]{1,100}$/, { error: 'must be letters, digits and . _ - only, at most 100' }),
    name: text,
    run: z.custom((value) => typeof value === 'function', { error: 'must be a function that yields events' }),
  },
  { error: 'must be an agent, a team or a workflow' },
);
const staticToken = table({
  subject: text,
  scopes: z.array(oneOf(...ALL_SCOPES), { error: 'must be a list of scopes' }),
  agents: texts,
  channels: texts,
}).extend({ token: text });

const config: z.ZodObject = table({
  agents: z
    .array(component, { error: 'must be a list of agents, teams and workflows' })
    .min(1, { error: 'must have at least one: leave it out for the demos' }),
  store: text.regex(/^(memory|sqlite:.+)$/, { error: 'must be memory or sqlite:PATH' }),
  durability: oneOf('process', 'power'),
  auth: table({
    tokens: z
      .array(staticToken, { error: 'must be a list of tokens' })
      .min(1, { error: 'must have at least one: leave it out where nobody needs a token' }),
    jwt,
  }),
  limits: z.unknown(),
  push: z.unknown(),
  host: text,
  port: whole(0, 65_535),
  allowedOrigins: z.array(
    text.regex(/^https?:\/\/[^/]+$/, { error: 'must be an origin, as https://app.example' }),
    { error: 'must be a list of origins' },
  ),
  trustProxy: flag,
  drainMs: whole(0, 2 ** 31 - 1),
  retention: table({ session: retained, channel: retained, run: retained }),
  logLevel: oneOf(...LOG_LEVELS),
});

/** Throws one sentence that names the file, the key and what is wrong with its value. Never shows what is secret. */
export function checkConfig(value: unknown, file: string): asserts value is ContinuoConfig {
  const problem = problemOf(config, value, []) ?? problemOfLimits(value) ?? problemOfPush(value);
  if (problem !== null) throw new TypeError(`${file}: ${problem}`);
}

function problemOfLimits(value: unknown): string | null {
  const given = at(value, ['limits']);
  if (given === undefined || given === 'off') return null;
  if (typeof given !== 'object') return `"limits" is ${show(given)}: it must be an object, or off.`;
  return problemOf(limits, given, ['limits']);
}

/** The server's own sentences. Whether `storeBackend` fits the store is known when the gateway is made. */
function problemOfPush(value: unknown): string | null {
  try {
    resolvePush(at(value, ['push']) as ContinuoConfig['push']);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function problemOf(schema: z.ZodObject, value: unknown, path: readonly PropertyKey[]): string | null {
  const { success, error } = schema.safeParse(value);
  const issue = success ? undefined : error?.issues[0];
  if (!issue) return null;
  const here = [...path, ...issue.path];
  if (issue.code === 'unrecognized_keys') {
    const [key = ''] = issue.keys;
    const known = keysAt(schema, issue.path);
    const near = nearestKey(key, known);
    return `"${nameOf([...here, key])}" is no key: ${near ? `did you mean "${near}"?` : `there are ${known.join(', ')}.`}`;
  }
  const name = nameOf(here);
  const given = at(value, issue.path);
  if (name === '') return `the configuration is ${show(given)}: it ${issue.message}.`;
  const shown = here[0] === 'auth' && typeof given === 'string' ? 'not good' : show(given);
  return `"${name}" is ${shown}: it ${issue.message}.`;
}

/** `auth.tokens[0].scopes` */
function nameOf(path: readonly PropertyKey[]): string {
  const name = path.map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`)).join('');
  return name.replace(/^\./, '');
}

function at(value: unknown, path: readonly PropertyKey[]): unknown {
  let here = value;
  for (const key of path)
    here = typeof here === 'object' && here !== null ? Reflect.get(here, key) : undefined;
  return here;
}

function show(value: unknown): string {
  if (value === undefined) return 'missing';
  if (typeof value === 'function') return 'a function';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (typeof value === 'object' && value !== null) return 'an object';
  const shown = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return shown.length > 80 ? `${shown.slice(0, 80)}...` : shown;
}

/** The keys that the object at a path may have. */
function keysAt(schema: z.ZodType, path: readonly PropertyKey[]): readonly string[] {
  let here: unknown = unwrap(schema);
  for (const key of path) {
    if (here instanceof z.ZodArray) here = unwrap(here.element);
    else if (here instanceof z.ZodObject) here = unwrap(here.shape[String(key)]);
  }
  return here instanceof z.ZodObject ? Object.keys(here.shape) : [];
}

function unwrap(schema: unknown): unknown {
  return schema instanceof z.ZodOptional ? unwrap(schema.unwrap()) : schema;
}
