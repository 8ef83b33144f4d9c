import { type Client, type ClientOptions, openClient } from './client.ts';
import { maskedFrame } from './frames.ts';
import { ask, DOOR_1, joinFrame, openSocketIo, type Subject } from './systems.ts';

/** A subject that answers every ping on the connection it came from. */
export interface Echo extends Subject {
  readonly pingFrame: Buffer;
  /** Ready to be pinged. */
  open(options: Omit<ClientOptions, 'path'>): Promise<Client>;
}

const PING = '{"type":"ping"}';
/** Every answer is longer, Engine.IO's heartbeat is not. */
export const ANSWER_BYTES = 2;

export const ECHOES: readonly Echo[] = [
  {
    name: 'continuo, memory',
    server: 'continuo',
    args: ['memory'],
    pingFrame: maskedFrame(PING),
    async open(options) {
      const client = await openClient({ ...options, path: DOOR_1 });
      await ask(client, joinFrame(), '"joined"');
      return client;
    },
  },
  {
    name: 'ws',
    server: 'ws',
    args: [],
    pingFrame: maskedFrame(PING),
    open: (options) => openClient({ ...options, path: '/echo' }),
  },
  {
    name: 'Socket.IO',
    server: 'socket-io',
    args: [],
    pingFrame: maskedFrame('420["ping"]'),
    open: openSocketIo,
  },
];
