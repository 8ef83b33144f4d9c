import { createFakeClock, createSeededRandom, type FakeClock } from '@continuo/testing';
import { expect, onTestFinished } from 'vitest';
import { createGateway, type Gateway, type GatewayOptions } from '../src/gateway.ts';
import { NO_LIMITS } from '../src/limits.ts';
import type { Clock, Store } from '../src/ports.ts';
import { createMemoryStore } from '../src/stores/memory.ts';
import { AGENTS } from './agents.ts';
import type { FrameOf, SocketPath } from './frames.ts';
import { followPushStream, type PushStream } from './push-stream.ts';
import { dial, type TestSocket } from './socket.ts';
import { followStream, type TestStream } from './stream.ts';

/** A whole gateway over a fake clock: its doors without a network. */

export const ALICE = 'token-of-alice';
export const BOB = 'token-of-bob';
/** Two people, for what belongs to one of them. */
export const TWO_PEOPLE = [
  { token: ALICE, subject: 'alice' },
  { token: BOB, subject: 'bob' },
];

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** JSON, or the text where it is none. */
  readonly body: unknown;
}

/** A request under way. */
export interface Asked {
  readonly answered: boolean;
  /** Its answer. Fails when it needs time that the clock was not given. */
  answer(): Promise<Answer>;
  /** Its answer as a stream, which has begun. */
  stream(): Promise<TestStream>;
  /** Its answer as a stream of door 2, which has begun. */
  pushStream(): Promise<PushStream>;
  /** The client goes away. */
  hangUp(): void;
}

export interface Ask {
  readonly body?: object | string;
  /** Sent as a form, not as JSON. */
  readonly form?: Readonly<Record<string, string>>;
  readonly token?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface TestGateway {
  readonly gateway: Gateway;
  readonly clock: FakeClock;
  /** The data, past whatever stands between it and the gateway. */
  readonly store: Store;
  /** What went wrong without a client being told. The test fails at its end when something is left here. */
  readonly problems: string[];
  /** The servers on this data. */
  readonly siblings: { count: number };
  socket(path?: SocketPath, credential?: string): Promise<TestSocket>;
  /** A socket that has joined. */
  join(frame?: object, credential?: string): Promise<TestSocket>;
  /** A socket of door 2 under a lasting client id. */
  client(clientId: string, token?: string): Promise<TestSocket>;
  ask(method: string, path: string, ask?: Ask): Asked;
  get(path: string, ask?: Ask): Promise<Answer>;
  post(path: string, body?: object | string, ask?: Ask): Promise<Answer>;
  stream(path: string, body: object, ask?: Ask): Promise<TestStream>;
}

export interface TestGatewayOptions extends Omit<GatewayOptions, 'agents' | 'store' | 'clock' | 'random'> {
  readonly agents?: GatewayOptions['agents'];
  /** What the server will report, in order. Default: nothing. */
  readonly reports?: readonly string[];
  /** Another server on the same data and under the same time. */
  readonly beside?: TestGateway;
  /** What stands between the gateway and its data. */
  readonly through?: (store: Store) => Store;
  /** What stands between the gateway and both its data and its time. */
  readonly within?: (clock: FakeClock, store: Store) => { readonly clock: Clock; readonly store: Store };
}

export function openGateway(options: TestGatewayOptions = {}): TestGateway {
  const {
    beside,
    through = (data) => data,
    within,
    agents = AGENTS,
    limits = NO_LIMITS,
    reports = [],
    ...more
  } = options;
  const clock = beside?.clock ?? createFakeClock();
  const siblings = beside?.siblings ?? { count: 0 };
  const store = beside?.store ?? createMemoryStore({ clock, random: createSeededRandom(1) });
  const seen = within?.(clock, store) ?? { clock, store };
  const problems: string[] = [];
  const gateway = createGateway({
    push: true,
    ...more,
    agents,
    limits,
    store: through(seen.store),
    clock: seen.clock,
    random: createSeededRandom(1_000 + siblings.count++), // no two servers make the same ids
    report: (problem, error) => void problems.push(`${problem}: ${String(error)}`),
  });
  onTestFinished(() => {
    expect(problems, 'what the server reported').toEqual(reports);
  });

  async function socket(path: SocketPath = '/', credential?: string): Promise<TestSocket> {
    const dialled = dial(gateway, clock, { path, credential });
    await clock.settle();
    return dialled;
  }

  function ask(method: string, path: string, { body, form, token, headers = {} }: Ask = {}): Asked {
    const abort = new AbortController();
    const json = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
    const request = new Request(`http://127.0.0.1${path}`, {
      method,
      signal: abort.signal,
      headers: {
        ...(json !== undefined && { 'content-type': 'application/json' }),
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...headers,
      },
      ...(form ? { body: new URLSearchParams(form) } : json !== undefined && { body: json }),
    });
    let answered = false;
    const response = Promise.resolve(gateway.fetch(request)).finally(() => {
      answered = true;
    });
    response.catch(() => {}); // whoever asks for the answer is told

    async function arrived(): Promise<Response> {
      for (let turns = 0; turns < 100 && !answered; turns++) await clock.settle();
      if (!answered) throw new Error(`${method} ${path} was not answered`);
      return response;
    }

    return {
      get answered() {
        return answered;
      },
      async answer() {
        return read(await arrived());
      },
      async stream() {
        const followed = followStream(await arrived(), abort);
        await clock.settle();
        return followed;
      },
      async pushStream() {
        const followed = followPushStream(await arrived(), abort);
        await clock.settle();
        return followed;
      },
      hangUp: () => abort.abort(),
    };
  }

  return {
    gateway,
    clock,
    store,
    problems,
    siblings,
    socket,
    async join(frame = {}, credential) {
      const joined = await socket('/', credential);
      await joined.send({ type: 'join', agent_id: 'echo', ...frame });
      return joined;
    },
    async client(clientId, token) {
      const client = await socket('/ws', token);
      await client.send({ type: 'auth', client_id: clientId });
      client.take();
      return client;
    },
    ask,
    get: (path, asked) => ask('GET', path, asked).answer(),
    post: (path, body, asked) =>
      ask('POST', path, { ...(body !== undefined && { body }), ...asked }).answer(),
    stream: (path, body, asked) => ask('POST', path, { body, ...asked }).stream(),
  };
}

async function read(response: Response): Promise<Answer> {
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.startsWith('application/json') ?? false;
  return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
}

/** The events of door 1 among some frames, whether replayed or live. */
export function eventsOf(socket: Pick<TestSocket, 'frames'>): FrameOf<'event'>['event'][] {
  return socket.frames.flatMap((frame) =>
    frame.type === 'event' || frame.type === 'replay' ? [frame.event] : [],
  );
}
