import { type Client, type ClientOptions, openClient } from './client.ts';
import { maskedFrame } from './frames.ts';

/** The JSON that is published, 128 bytes of it. */
export const PAYLOAD: string = JSON.stringify({ text: 'x'.repeat(128 - '{"text":""}'.length) });
/** What the gateway under test wants to see. */
export const TOKEN = 'bench';

export const SERVERS = ['continuo', 'ws', 'socket-io', 'joined'] as const;

/** A server process that is measured. */
export interface Subject {
  readonly name: string;
  readonly server: (typeof SERVERS)[number];
  readonly args: readonly string[];
}

/** A subject that fans out, and how its clients talk to it. */
export interface System extends Subject {
  /** What a publisher sends for one message. */
  readonly publishFrame: Buffer;
  /** A client that gets every message. */
  subscribe(options: Omit<ClientOptions, 'path'>): Promise<Client>;
  /** A client that may publish. */
  openPublisher(port: number): Promise<Client>;
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

function continuo(store: 'memory' | 'sqlite'): System {
  const path = `/ws?token=${TOKEN}`;
  const subscribeFrame = maskedFrame('{"type":"channel.subscribe","channel":"news","delivery":false}');
  const newSession = joinFrame();
  async function open(options: ClientOptions): Promise<Client> {
    const client = await openClient(options);
    await client.next(); // "connected"
    return client;
  }
  return {
    name: `continuo, ${store}`,
    server: 'continuo',
    args: [store],
    publishFrame: maskedFrame(`{"type":"channel.publish","channel":"news","data":${PAYLOAD}}`),
    async subscribe(options) {
      const client = await open({ ...options, path });
      await ask(client, subscribeFrame, '"channel.subscribed"');
      return client;
    },
    openPublisher: (port) => open({ port, path }),
    async join(port) {
      const client = await openClient({ port, path: DOOR_1 });
      await ask(client, newSession, '"joined"');
      return client;
    },
  };
}

function plainWs(): System {
  const hello = maskedFrame('{"type":"join","agent_id":"echo"}');
  async function join(options: Omit<ClientOptions, 'path'>): Promise<Client> {
    const client = await openClient({ ...options, path: '/' });
    await ask(client, hello, '"joined"');
    return client;
  }
  return {
    name: 'ws',
    server: 'ws',
    args: [],
    publishFrame: maskedFrame(PAYLOAD),
    subscribe: join,
    openPublisher: (port) => join({ port }),
    join: (port) => join({ port }),
  };
}

function socketIo(): System {
  const hello = maskedFrame('420["join",{"agent_id":"echo"}]');
  const subscribeFrame = maskedFrame('420["subscribe","news"]');
  return {
    name: 'Socket.IO',
    server: 'socket-io',
    args: [],
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
  plainWs(),
  socketIo(),
  joinedWrites(),
];
