import { type Client, type ClientOptions, openClient } from './client.ts';
import type { Broadcaster } from './crowd.ts';
import { maskedFrame } from './frames.ts';

/** The JSON that is published, 128 bytes of it. */
export const PAYLOAD: string = JSON.stringify({ text: 'x'.repeat(128 - '{"text":""}'.length) });
/** What the gateway under test wants to see. */
export const TOKEN = 'bench';

/** A server process that is measured. */
export interface Subject {
  readonly name: string;
  /** Its script in `servers/`. */
  readonly server: string;
  readonly args: readonly string[];
}

/** A subject that fans out, and holds connections. */
export interface System extends Broadcaster {
  /** A client that has said its hello and then waits. */
  join(port: number): Promise<Client>;
}

/** Sends a frame, checks what comes back, and returns it. */
export async function ask(client: Client, frame: Buffer, answer: string): Promise<string> {
  client.send(frame);
  const text = await client.next();
  if (!text.includes(answer)) throw new Error(`expected ${answer}, got ${text}`);
  return text;
}

/** Where door 1 of the gateway under test is. */
export const DOOR_1: string = `/?token=${TOKEN}`;

export function joinFrame(resume: Readonly<Record<string, unknown>> = {}): Buffer {
  return maskedFrame(
    JSON.stringify({ type: 'join', agent_id: 'echo', min_version: 1, max_version: 1, ...resume }),
  );
}

/** Engine.IO has opened; Socket.IO waits for its own hello. */
export async function openEngine(options: Omit<ClientOptions, 'path'>): Promise<Client> {
  const client = await openClient({ ...options, path: '/socket.io/?EIO=4&transport=websocket' });
  await client.next(); // Engine.IO's "open"
  return client;
}

export const CONNECT_FRAME: Buffer = maskedFrame('40');

export async function openSocketIo(options: Omit<ClientOptions, 'path'>): Promise<Client> {
  const client = await openEngine(options);
  await ask(client, CONNECT_FRAME, '40{');
  return client;
}

/** A connection to door 2 of the gateway under test. */
export async function openPusher(options: Omit<ClientOptions, 'path'>): Promise<Client> {
  const client = await openClient({ ...options, path: `/ws?token=${TOKEN}` });
  await client.next(); // "connected"
  return client;
}

/** What is said to door 2 for one message on a channel. */
export function publishFrame(channel: string): Buffer {
  return maskedFrame(`{"type":"channel.publish","channel":"${channel}","data":${PAYLOAD}}`);
}

export function continuo(store: 'memory' | 'sqlite'): System {
  const subscribeFrame = maskedFrame('{"type":"channel.subscribe","channel":"news","delivery":false}');
  const newSession = joinFrame();
  return {
    name: `continuo, ${store}`,
    server: 'continuo',
    args: [store],
    publishFrame: publishFrame('news'),
    async subscribe(options) {
      const client = await openPusher(options);
      await ask(client, subscribeFrame, '"channel.subscribed"');
      return client;
    },
    openPublisher: (port) => openPusher({ port }),
    async join(port) {
      const client = await openClient({ port, path: DOOR_1 });
      await ask(client, newSession, '"joined"');
      return client;
    },
  };
}

function plain(server: 'ws' | 'bun', name: string): System {
  const hello = maskedFrame('{"type":"join","agent_id":"echo"}');
  async function join(options: Omit<ClientOptions, 'path'>): Promise<Client> {
    const client = await openClient({ ...options, path: '/' });
    await ask(client, hello, '"joined"');
    return client;
  }
  return {
    name,
    server,
    args: [],
    publishFrame: maskedFrame(PAYLOAD),
    subscribe: join,
    openPublisher: (port) => (server === 'bun' ? openClient({ port, path: '/' }) : join({ port })),
    join: (port) => join({ port }),
  };
}

function socketIo(name: string, args: readonly string[] = []): System {
  const hello = maskedFrame('420["join",{"agent_id":"echo"}]');
  const subscribeFrame = maskedFrame('420["subscribe","news"]');
  return {
    name,
    server: 'socket-io',
    args,
    publishFrame: maskedFrame(`42["publish",${PAYLOAD}]`),
    async subscribe(options) {
      const client = await openSocketIo(options);
      await ask(client, subscribeFrame, '430[');
      return client;
    },
    openPublisher: (port) => openSocketIo({ port }),
    async join(port) {
      const client = await openSocketIo({ port });
      await ask(client, hello, '430[');
      return client;
    },
  };
}

/** Not a competitor: one write of ready bytes per socket is the most that this generator is ever offered. */
function joinedWrites(): System {
  return {
    name: 'joined writes',
    server: 'joined',
    args: [],
    publishFrame: maskedFrame(PAYLOAD),
    subscribe: (options) => openClient({ ...options, path: '/' }),
    openPublisher: (port) => openClient({ port, path: '/publish' }),
    join: (port) => openClient({ port, path: '/' }),
  };
}

export const SYSTEMS: readonly System[] = [
  continuo('memory'),
  continuo('sqlite'),
  plain('ws', 'ws'),
  socketIo('Socket.IO'),
  socketIo('Socket.IO, recovery', ['recovery']),
  plain('bun', 'Bun'),
  joinedWrites(),
];
