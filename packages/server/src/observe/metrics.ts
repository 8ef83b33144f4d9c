import { type Component, ERRORS, WireError } from '@continuo/protocol';
import { Hono } from 'hono';
import { Counter, Gauge, Registry } from 'prom-client';
import { type Authenticate, bearerOf } from '../auth/authenticate.ts';
import type { LoopLag } from './loop-lag.ts';
import type { Tally } from './tally.ts';

/** What a scrape reads: numbers that are there anyway, so that nothing is computed between two scrapes. */
export interface MetricsSources {
  readonly version: string;
  readonly components: readonly Component[];
  readonly tally: Tally;
  readonly lag: LoopLag;
  readonly sockets: { readonly size: number; readonly bufferedBytes: number };
  readonly tails: { readonly size: number; readonly ringBytes: number };
  readonly workers: { readonly active: number };
}

/** The metrics of one gateway, in a registry of its own: several gateways of a process do not mix. */
export function createMetrics(sources: MetricsSources): Registry {
  const { version, components, tally, lag, sockets, tails, workers } = sources;
  const registry = new Registry();
  const registers = [registry];

  function gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  }

  function counter(name: string, help: string, read: () => number): void {
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  }

  gauge('continuo_sockets', 'Open WebSocket connections', () => sockets.size);
  gauge('continuo_socket_buffered_bytes', 'Bytes that clients have not taken yet, of all sockets', () => {
    return sockets.bufferedBytes;
  });
  gauge('continuo_logs_watched', 'Logs that this process follows', () => tails.size);
  gauge('continuo_ring_bytes', 'Bytes of newest entries kept in memory', () => tails.ringBytes);
  gauge('continuo_runs_active', 'Logs whose runs are driven here', () => workers.active);
  gauge('continuo_process_resident_bytes', 'Resident memory of the process', () => process.memoryUsage.rss());
  gauge('continuo_uptime_seconds', 'Age of the process', () => process.uptime());
  new Gauge({
    name: 'continuo_event_loop_lag_seconds',
    help: 'How late the event loop was since the last scrape; 0 at the first',
    labelNames: ['stat'],
    registers,
    collect() {
      for (const [stat, seconds] of Object.entries(lag.take())) this.set({ stat }, seconds);
    },
  });
  counter('continuo_appends_total', 'Entries stored by this process', () => tally.appends);
  counter(
    'continuo_dead_letters_total',
    'Messages that a consumer could not handle',
    () => tally.deadLetters,
  );
  counter('continuo_redeliveries_total', 'Messages delivered again to a live consumer', () => {
    return tally.redeliveries;
  });
  new Counter({
    name: 'continuo_errors_total',
    help: 'Errors told to clients, by code of the error table',
    labelNames: ['code'],
    registers,
    collect() {
      this.reset();
      for (const [code, count] of tally.errors) this.inc({ code }, count);
    },
  });
  new Gauge({
    name: 'continuo_info',
    help: 'Always 1; what runs here',
    labelNames: ['version', 'agents'],
    registers,
  }).set({ version, agents: String(components.length) }, 1);
  return registry;
}

export interface MetricsRouteOptions {
  readonly registry: Registry;
  readonly authenticate: Authenticate;
  readonly tally: Tally;
}

/**
 * `GET /metrics` in the text format of Prometheus. Needs the scope `admin`; where nobody needs a token everybody has
 * it, and then it is served on loopback alone. The token comes as `Authorization: Bearer`: scrapers log their URLs.
 */
export function createMetricsRoute(options: MetricsRouteOptions): Hono {
  const { registry, authenticate, tally } = options;
  const route = new Hono();
  route.get('/metrics', async (c) => {
    const { scopes } = await authenticate(bearerOf(c.req.header('authorization')));
    if (!scopes.has('admin'))
      throw new WireError('forbidden', 'Metrics need a token with the scope "admin".');
    const text = await registry.metrics();
    return c.body(text, 200, { 'content-type': registry.contentType, 'cache-control': 'no-store' });
  });
  route.onError((error, c) => {
    if (!(error instanceof WireError)) throw error;
    const { code, message } = error;
    tally.error(code);
    return c.json({ error: { code, message } }, ERRORS[code].status);
  });
  return route;
}
