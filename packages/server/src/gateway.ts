import type { IncomingMessage } from 'node:http';
import type { Server } from 'node:net';
import type { Duplex } from 'node:stream';
import { type Component, ERRORS, type ErrorCode, type Health, type RunLimits } from '@continuo/protocol';
import { Hono } from 'hono';
import {
  type AuthOptions,
  bearerOf,
  createAuthenticate,
  digestOf,
  fingerprintOf,
  isConfigured,
  type StaticToken,
} from './auth/authenticate.ts';
import { isLoopback, type OriginPolicy, refuseOrigin } from './auth/origin.ts';
import { createApprovals } from './core/approvals.ts';
import { LEASE_TERMS, type LeaseTerms } from './core/lease.ts';
import type { RetentionLimits } from './core/log.ts';
import { createMemoryBook } from './core/memories.ts';
import { createPresences } from './core/presence.ts';
import { checkRunLimits } from './core/run-limits.ts';
import { createRuns } from './core/runs.ts';
import { createSessions } from './core/sessions.ts';
import { createSteering } from './core/steering.ts';
import { createWorkers, type Workers } from './core/worker.ts';
import { createApprovalRoutes } from './doors/approval-routes.ts';
import { createBodyLimit } from './doors/body-limit.ts';
import { createGatewayDoor } from './doors/gateway.ts';
import { createMethodRefusals, createOpenApi } from './doors/openapi.ts';
import { createPages } from './doors/pages.ts';
import { createRunLists } from './doors/run-lists.ts';
import { createRunsDoor } from './doors/runs.ts';
import { createSocketDoor, type SocketDoor } from './doors/socket.ts';
import type { Refusal } from './edge/admission.ts';
import { systemClock, systemRandom } from './edge/clock.ts';
import { type AttachOptions, boundTo, createMounts } from './edge/mount.ts';
import { createNodeEdge, type NodeEdge, openNodeStream } from './edge/node.ts';
import { openWebStream } from './edge/web.ts';
import { checkLimits, LIMITS, type Limits } from './limits.ts';
import { createLoopLag } from './observe/loop-lag.ts';
import { createMetrics, createMetricsRoute } from './observe/metrics.ts';
import { createTally } from './observe/tally.ts';
import type { Clock, OpenStream, Random, Report, Store } from './ports.ts';
import { createGround, createPush } from './push.ts';
import { type PushOptions, resolvePush } from './push-options.ts';
import type { ServerChannels } from './server-channels.ts';
import type { ServerPresence } from './server-presence.ts';

export interface GatewayOptions {
  /** Agents, teams and workflows, in the order in which they are listed. */
  readonly agents: readonly Component[];
  /** Where everything is kept. It stays the caller's: `close()` does not close it. */
  readonly store: Store;
  /** Who may connect. Default: nobody needs a token, which is for loopback only. */
  readonly auth?: AuthOptions;
  /** The same as `auth.tokens`. */
  readonly tokens?: readonly StaticToken[];
  /** Origins of web pages that may connect, beside the server's own. */
  readonly allowedOrigins?: readonly string[];
  /** Whether a proxy stands before the server: the last of `X-Forwarded-For` is then who connects. Default false. */
  readonly trustProxy?: boolean;
  /** Channels and their polling. Default off; `true` switches them on as they are by default. */
  readonly push?: boolean | PushOptions;
  readonly version?: string;
  /** How long runs under way may take to end when the gateway closes, in ms. Default 10,000. */
  readonly drainMs?: number;
  /** What one peer, and all together, may take. */
  readonly limits?: Partial<Limits>;
  readonly lease?: LeaseTerms;
  /** What one run may take where its component does not say: one hour, 1,000 tool calls, members five levels deep. */
  readonly runLimits?: Partial<RunLimits>;
  /** What is kept of a log, where it differs from the defaults. */
  readonly retention?: {
    readonly session?: RetentionLimits;
    readonly channel?: RetentionLimits;
    readonly run?: RetentionLimits;
  };
  /** What went wrong without a client being told. Default: the console. */
  readonly report?: Report;
  readonly clock?: Clock;
  readonly random?: Random;
}

export interface Gateway {
  /** Channels, for the program around it. */
  readonly channels: ServerChannels;
  /** Who is on channels. */
  readonly presence: ServerPresence;
  /**
   * The HTTP doors, as a fetch handler. `env` is what @hono/node-server gives with a request; a Host is then checked
   * where the connection came in on loopback, without it always.
   */
  fetch(request: Request, env?: unknown): Response | Promise<Response>;
  /** The socket doors, for an edge that brings its own sockets. */
  readonly sockets: SocketDoor;
  /** Takes one upgrade of a Node server to `/` or `/ws`. A Host is checked where the connection came in on loopback. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /**
   * Serves everything below a path of a server of `node:http` or `node:https`, and leaves all else to its listeners; an
   * upgrade that has none gets 404. Returns the way to stop, as `close()` does too: close the gateway before the server,
   * which waits for its sockets. The rules of `listen` hold by the address the server is bound to:
   * on loopback a Host is checked; beyond it tokens are needed, else this throws, or, where the server listens later,
   * everything is answered with 403.
   */
  attach(server: Server, options?: AttachOptions): () => void;
  /** Port 0 takes a free one. Rejects when it cannot listen, or may not: beyond loopback it needs `auth`. */
  listen(options?: {
    readonly port?: number;
    readonly host?: string;
  }): Promise<{ readonly url: string; readonly port: number }>;
  /** Takes no more, lets runs end, closes every connection. Idempotent. */
  close(): Promise<void>;
}

/** How old what is told of the server's health may be, in ms. */
const HEALTH_MS = 1_000;

/** The answer to an upgrade while the server closes. */
const DRAINING: Refusal = {
  status: ERRORS.draining.status,
  message: 'This server is about to close. Try again in some seconds.',
  retryAfterSeconds: 5,
};
const OPEN_TO_ALL = 'Without a token the gateway serves this machine only: anyone could use it. Set a token.';

/** The composition root: one store, one engine, every door. */
export function createGateway(options: GatewayOptions): Gateway {
  const { agents, store, version = '0.0.0', drainMs = 10_000, retention = {} } = options;
  const { lease: terms = LEASE_TERMS, clock = systemClock, random = systemRandom } = options;
  const { report = (problem, error) => console.error(`continuo: ${problem}:`, error) } = options;
  checkComponents(agents);
  checkRunLimits(options.runLimits ?? {}, 'runLimits');
  const limits = checkLimits({ ...LIMITS, ...options.limits });
  const { logs, records } = store;
  const startedAt = clock.now();
  let originPolicy: OriginPolicy = { loopback: true, allowed: options.allowedOrigins ?? [] };
  let draining = false;

  const auth: AuthOptions = {
    ...options.auth,
    tokens: [...(options.tokens ?? []), ...(options.auth?.tokens ?? [])],
  };
  const tokenRequired = isConfigured(auth);
  const authenticate = createAuthenticate({ ...auth, clock, report });
  const tally = createTally();
  const lag = createLoopLag();
  const ground = createGround({
    store,
    clock,
    report,
    tally,
    retentionOf(name) {
      return push.retentionOf(name) ?? (name.kind === 'session' ? sessions : runs).retention;
    },
  });
  const { journal, tails, feeds } = ground;
  const lateWorkers = (): Workers => workers;
  const sessions = createSessions({
    logs,
    records,
    journal,
    workers: lateWorkers,
    clock,
    random,
    limits: retention.session,
    inbox: limits.inbox,
  });
  const presences = createPresences({ records, clock, random, report });
  const runs = createRuns({
    logs,
    records,
    journal,
    sessions,
    workers: lateWorkers,
    clock,
    random,
    digest: (text) => digestOf(text).toString('base64url'),
    limits: retention.run,
  });
  const openStream: OpenStream = (request, env, headers) =>
    (isNode(env) ? openNodeStream : openWebStream)(request, env, headers);
  const push = createPush({
    settings: resolvePush(options.push, store.name),
    ground,
    retention: retention.channel,
    authenticate,
    fingerprint: fingerprintOf(auth),
    openStream,
    clock,
    random,
    report,
    tally,
  });
  const approvals = createApprovals({ logs, records, journal, workers: lateWorkers, clock, random });
  const steering = createSteering({ logs, records, clock, random });
  const memories = createMemoryBook({ records, clock, random });
  const workers = createWorkers({
    logs,
    records,
    journal,
    approvals,
    steering,
    memories,
    runLimits: options.runLimits,
    clock,
    random,
    report,
    terms,
    components: new Map(agents.map((component) => [`${component.kind}:${component.id}`, component])),
    sources: { session: sessions.turns, run: runs.tasks },
  });

  let healthNow: { readonly at: number; readonly health: Health } | null = null;
  /** Computed once a second: every join says it. */
  function health(): Health {
    const now = clock.now();
    if (!healthNow || now - healthNow.at >= HEALTH_MS) {
      healthNow = {
        at: now,
        health: {
          status: draining ? 'draining' : 'ok',
          uptime: (now - startedAt) / 1000,
          agents: agents.length,
          sessions: sessions.viewed,
          clients: sockets.size,
          push: push.enabled,
        },
      };
    }
    return healthNow.health;
  }
  const findComponent = (id: string): Component | undefined =>
    agents.find((component) => component.id === id);
  const sockets = createSocketDoor({
    protocols: [
      createGatewayDoor({
        sessions,
        approvals,
        steering,
        presences,
        workers: lateWorkers,
        feeds,
        limits,
        random,
        report,
        findComponent,
        health,
      }),
      push.protocol,
    ],
    authenticate,
    limits,
    clock,
    random,
    report,
    onError: tally.error,
  });

  /** As every door has it: the last two are door 4's. */
  const problemOf = (code: ErrorCode, message: string): object => {
    tally.error(code);
    return { error: { code, message }, detail: message, code };
  };
  /** Of our own server it is known where it is bound; of another it is told by the request. */
  function refuse(
    asked: Parameters<typeof refuseOrigin>[0],
    incoming: IncomingMessage | null,
  ): string | null {
    const arrival = incoming ? mounts.arrivalOf(incoming) : undefined;
    const loopback = arrival ? isLoopback(arrival.address) : originPolicy.loopback;
    if (!loopback && !tokenRequired) return OPEN_TO_ALL;
    return refuseOrigin(asked, { ...originPolicy, loopback });
  }
  function prefixOf(env: unknown): string {
    const incoming = incomingOf(env);
    return (incoming && mounts.arrivalOf(incoming)?.prefix) ?? '';
  }
  const app = new Hono();
  app.use(async (c, next) => {
    const asked = { host: c.req.header('host') ?? new URL(c.req.url).host, origin: c.req.header('origin') };
    const refusal = refuse(asked, incomingOf(c.env));
    if (refusal) return c.json(problemOf('forbidden', refusal), ERRORS.forbidden.status);
    return next();
  });
  app.use(
    createBodyLimit(limits.maxPayloadBytes, (c) => {
      c.header('connection', 'close'); // the rest of the body is not read
      const problem = `A body has at most ${limits.maxPayloadBytes} bytes.`;
      return c.json(problemOf('too_large', problem), ERRORS.too_large.status);
    }),
  );
  app.notFound((c) =>
    c.json(
      problemOf('not_found', `There is nothing at ${c.req.path}. GET / says what runs here.`),
      ERRORS.not_found.status,
    ),
  );
  app.route(
    '/',
    createPages({
      components: agents,
      version,
      storeName: store.name,
      push: push.enabled,
      tokenRequired,
      health,
      ready: () => !draining,
      prefixOf,
    }),
  );
  app.route(
    '/',
    createMetricsRoute({
      registry: createMetrics({ version, components: agents, tally, lag, sockets, tails, workers }),
      authenticate,
      tally,
    }),
  );
  app.use((c, next) => {
    if (!draining) return next();
    c.header('retry-after', String(DRAINING.retryAfterSeconds));
    return Promise.resolve(c.json(problemOf('draining', DRAINING.message), ERRORS.draining.status));
  });
  app.route('/', push.routes);
  const door4 = {
    runs,
    logs,
    feeds,
    workers,
    sessions,
    approvals,
    steering,
    memories,
    components: agents,
    authenticate,
    openStream,
    clock,
    report,
    storeName: store.name,
    version,
    push: push.enabled,
    onError: tally.error,
  };
  const runsDoor = createRunsDoor(door4);
  app.route('/', runsDoor.routes);
  app.route('/', createApprovalRoutes(door4));
  app.route('/', createRunLists(door4));
  app.route('/', createOpenApi({ version, prefixOf }));
  app.route('/', createMethodRefusals());

  let edge: NodeEdge | null = null;
  const openEdge = (): NodeEdge =>
    createNodeEdge({
      fetch: answer,
      refuseUpgrade({ path, incoming, ...asked }) {
        const refusal = refuse(asked, incoming);
        if (refusal) return { status: 403, message: refusal };
        if (!sockets.has(path)) return { status: 404, message: `There is no door at ${path}. Use / or /ws.` };
        if (draining) return DRAINING;
        return null;
      },
      openSocket: (peer, { path, authorization, queryToken, pause, resume }) =>
        sockets.open(peer, { path, credential: bearerOf(authorization) ?? queryToken, pause, resume }),
      limits,
      trustProxy: options.trustProxy ?? false,
      clock,
      report,
    });

  const ownEdge = (): NodeEdge => {
    edge ??= openEdge();
    return edge;
  };
  const mounts = createMounts({ own: () => ownEdge().server, clock });

  async function close(): Promise<void> {
    draining = true;
    healthNow = null;
    sockets.drain('idle'); // who waits for nothing here need not wait until it is over
    await workers.close(drainMs);
    push.endPolls();
    await runsDoor.close();
    sockets.drain();
    await Promise.all([edge?.close(ERRORS.draining.close, 'draining'), mounts.close()]);
    await answered(); // nobody is at the store any more when it is closed
    await sockets.settled();
    await push.close();
    tails.close();
    sessions.close();
    journal.close();
    await presences.close();
    lag.close();
  }
  let closing: Promise<void> | null = null;

  /** Requests that are being answered; a stream counts until it has begun. */
  const underWay = new Set<Promise<Response>>();
  async function answered(): Promise<void> {
    await Promise.allSettled([...underWay]);
  }
  async function answer(request: Request, env: unknown): Promise<Response> {
    const response = Promise.resolve(app.fetch(request, env as object));
    underWay.add(response);
    try {
      return await response;
    } finally {
      underWay.delete(response);
    }
  }

  return {
    channels: push.channels,
    presence: push.presence,
    fetch(request, env) {
      const incoming = incomingOf(env);
      if (incoming) mounts.note(incoming);
      return answer(request, env);
    },
    sockets,
    upgrade: mounts.upgrade,
    attach(server, mounted) {
      const address = boundTo(server);
      if (address !== null && !isLoopback(address) && !tokenRequired) throw new Error(OPEN_TO_ALL);
      return mounts.attach(server, mounted);
    },
    async listen({ port = 8765, host = '127.0.0.1' } = {}) {
      originPolicy = { ...originPolicy, loopback: isLoopback(host) };
      if (!originPolicy.loopback && !tokenRequired) {
        throw new Error(
          `Refusing to listen on ${host} without a token, or auth.jwt: anyone who reaches it could use it.`,
        );
      }
      const { port: taken } = await ownEdge().listen(port, host);
      return { url: `http://${host.includes(':') ? `[${host}]` : host}:${taken}`, port: taken };
    },
    close() {
      closing ??= close();
      return closing;
    },
  };
}

function incomingOf(env: unknown): IncomingMessage | null {
  return isNode(env) ? (env as { incoming: IncomingMessage }).incoming : null;
}

function isNode(env: unknown): boolean {
  return typeof env === 'object' && env !== null && 'outgoing' in env;
}

function checkComponents(components: readonly Component[]): void {
  const ids = new Set<string>();
  for (const { id, limits = {} } of components) {
    if (!/^[\w.-]{1,100}$/.test(id))
      throw new Error(`agents: the id "${id}" must be letters, digits and . _ - only`);
    checkRunLimits(limits, `agents: "${id}"`);
    if (ids.has(id)) throw new Error(`agents: the id "${id}" is there twice`);
    ids.add(id);
  }
}
