import { mkdtempSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { until } from './waiting.ts';
import { forkServer } from './forked.ts';

/** A server with two people on it, and what one of them has there: for requests that nobody should make. */

export const ALICE = 'token-of-alice';
export const BOB = 'token-of-bob';
/** Alice's, for one agent alone; and for looking at channels alone. */
export const NARROW = 'narrow-token';
export const READER = 'reader-token';
const TOKENS = [
  { token: ALICE, subject: 'alice' },
  { token: BOB, subject: 'bob' },
  { token: NARROW, subject: 'alice', agents: ['echo'] },
  { token: READER, subject: 'alice', scopes: ['read'] },
];

export interface Answer {
  readonly status: number;
  /** Without those that differ from one answer to the next: `date`. */
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
  /** Of `{"detail"}`; empty where there is none. */
  readonly detail: string;
}

export interface Ask {
  readonly method?: string;
  /** Sent as it is, byte for byte. */
  readonly path: string;
  readonly token?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

/** What Alice has: the run of the clerk waits for an answer. */
export interface Belongings {
  readonly run: string;
  readonly session: string;
  readonly approval: string;
  readonly memory: string;
  /** A run of another component. */
  readonly other: string;
}

export interface BadRuns {
  readonly port: number;
  readonly alices: Belongings;
  ask(ask: Ask): Promise<Answer>;
  json(method: string, path: string, body: unknown, token?: string): Promise<Answer>;
  form(method: string, path: string, fields: string, token?: string): Promise<Answer>;
  /** Rejects unless the server lives, a run goes through, and all that Alice has is as it was. */
  check(): Promise<void>;
  /** What the server wrote to standard error. */
  readonly errors: string;
  close(): Promise<void>;
}

const SCRIPT = fileURLToPath(new URL('./bad-runs-server.ts', import.meta.url));

export async function openBadRuns(): Promise<BadRuns> {
  const folder = mkdtempSync(join(tmpdir(), 'continuo-bad-runs-'));
  const options = { store: `sqlite:${join(folder, 'store.db')}`, tokens: TOKENS };
  const server = await forkServer(SCRIPT, options);
  const { child, port, exited } = server;
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });

  function ask({ method = 'GET', path, token, headers = {}, body }: Ask): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const asked = request({
        agent,
        port,
        host: '127.0.0.1',
        method,
        path,
        timeout: 10_000,
        headers: { ...(token !== undefined && { authorization: `Bearer ${token}` }), ...headers },
      });
      asked.on('response', (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('error', reject);
        response.on('end', () => {
          const { date: _, ...rest } = response.headers;
          resolve({ status: response.statusCode ?? 0, headers: rest, text, detail: detailOf(text) });
        });
      });
      asked.on('timeout', () => asked.destroy(new Error(`${method} ${path} was not answered`)));
      asked.on('error', reject);
      asked.end(body);
    });
  }

  const json: BadRuns['json'] = (method, path, body, token = ALICE) =>
    ask({ method, path, token, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
  const form: BadRuns['form'] = (method, path, fields, token = ALICE) =>
    ask({
      method,
      path,
      token,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: fields,
    });
  async function read<T>(path: string): Promise<T> {
    const { status, text } = await ask({ path, token: ALICE });
    if (status !== 200) throw new Error(`${path} gave ${status}: ${text}`);
    return JSON.parse(text) as T;
  }

  async function start(path: string, message: string): Promise<{ run_id: string; session_id: string }> {
    const { status, text } = await json('POST', `${path}/runs`, { message, stream: false, background: true });
    if (status !== 202) throw new Error(`${path} gave ${status}: ${text}`);
    return JSON.parse(text) as { run_id: string; session_id: string };
  }

  async function settle(): Promise<Belongings> {
    const { run_id: run, session_id: session } = await start('/agents/clerk', 'jump');
    const { run_id: other } = await start('/teams/pair', 'hi');
    await start('/agents/keeper', 'likes tea');
    const approvals = (): Promise<{ approval_id: string }[]> => read('/approvals');
    const memories = (): Promise<{ memory_id: string }[]> => read('/memories');
    await until('the clerk asks', 5_000, async () => (await approvals()).length === 1);
    await until('the keeper keeps', 5_000, async () => (await memories()).length === 1);
    await until('the team ends', 5_000, async () => {
      const { status } = await read<{ status: string }>(`/runs/${other}`);
      return status === 'COMPLETED';
    });
    const [approval] = await approvals();
    const [memory] = await memories();
    return {
      run,
      session,
      other,
      approval: approval?.approval_id ?? '',
      memory: memory?.memory_id ?? '',
    };
  }
  const alices = await settle();
  const standing = async (): Promise<string> =>
    JSON.stringify([
      await read(`/runs/${alices.run}`),
      await read(`/agents/clerk/runs/${alices.run}`),
      await read('/approvals?status=all'),
      await read('/memories'),
      await read('/agents/clerk/runs'),
      await read('/teams/pair/runs'),
    ]);
  const before = await standing();

  return {
    port,
    alices,
    ask,
    json,
    form,
    async check() {
      const { status, text } = await json(
        'POST',
        '/agents/echo/runs',
        { message: 'well?', stream: false },
        BOB,
      );
      if (status !== 200 || !text.includes('echo: well?')) throw new Error(`a run gave ${status}: ${text}`);
      const now = await standing();
      if (now !== before) throw new Error(`what Alice has was changed: ${now}, before ${before}`);
      if (server.errors !== '') throw new Error(`the server wrote: ${server.errors}`);
    },
    get errors() {
      return server.errors;
    },
    async close() {
      agent.destroy();
      child.kill('SIGKILL');
      await exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function detailOf(text: string): string {
  try {
    const { detail } = JSON.parse(text) as { detail?: unknown };
    return typeof detail === 'string' ? detail : '';
  } catch {
    return '';
  }
}
