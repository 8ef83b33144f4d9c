import { type Client, openClient } from './client.ts';
import { maskedFrame, quickFrame } from './frames.ts';
import { ask, openPusher, openSocketIo, PAYLOAD, publishFrame, type Subject } from './systems.ts';

/** Each has one subscriber. */
export const ACKED_CHANNELS = 1_000;

/** A subject with many channels, whose subscribers say of each message that they have got it. */
export interface Acked extends Subject {
  publishFrame(channel: string): Buffer;
  openPublisher(port: number): Promise<Client>;
  /**
   * Subscribes to a channel and acks what comes; `onAcked` is called when that is confirmed or, where nothing confirms
   * it, sent. `onWrong` is told of anything else.
   */
  subscribe(options: AckerOptions): Promise<Client>;
}

export interface AckerOptions {
  readonly port: number;
  readonly channel: string;
  onAcked(): void;
  onWrong(text: string): void;
}

function wordOf(text: string, name: string): string | null {
  const from = text.indexOf(name);
  return from < 0 ? null : text.slice(from + name.length, text.indexOf('"', from + name.length));
}

const EVENT_ID = '"event_id":"';

const continuo = (store: 'memory' | 'sqlite'): Acked => ({
  name: `continuo, ${store}`,
  server: 'continuo',
  args: [store],
  publishFrame,
  openPublisher: (port) => openPusher({ port }),
  async subscribe({ port, channel, onAcked, onWrong }) {
    const client = await openPusher({ port });
    const subscribing = maskedFrame(JSON.stringify({ type: 'channel.subscribe', channel }));
    await ask(client, subscribing, '"channel.subscribed"');
    client.listen((text) => {
      const eventId = wordOf(text, EVENT_ID);
      if (eventId !== null && text.startsWith('{"type":"channel_message"'))
        client.send(quickFrame(`{"type":"message_ack","event_id":"${eventId}","channel":"${channel}"}`));
      else if (text.startsWith('{"type":"ack_received"') && text.includes('"ok":true')) onAcked();
      else onWrong(text);
    });
    return client;
  },
});

function plain(name: string, server: string): Acked {
  return {
    name,
    server,
    args: [],
    publishFrame: (channel) => maskedFrame(`{"type":"publish","channel":"${channel}","data":${PAYLOAD}}`),
    openPublisher: (port) => openClient({ port, path: '/' }),
    async subscribe({ port, channel, onAcked, onWrong }) {
      const client = await openClient({ port, path: '/' });
      await ask(client, maskedFrame(JSON.stringify({ type: 'subscribe', channel })), '"subscribed"');
      const head = `{"type":"message","channel":"${channel}","id":`;
      client.listen((text) => {
        if (!text.startsWith(head)) return onWrong(text);
        const id = Number.parseInt(text.slice(head.length), 10);
        client.send(quickFrame(`{"type":"ack","channel":"${channel}","id":${id}}`));
        onAcked();
      });
      return client;
    },
  };
}

const socketIo = (name: string, args: readonly string[]): Acked => ({
  name,
  server: 'socket-io',
  args,
  publishFrame: (channel) => maskedFrame(`42["publishTo","${channel}",${PAYLOAD}]`),
  openPublisher: (port) => openSocketIo({ port }),
  async subscribe({ port, channel, onAcked, onWrong }) {
    const client = await openSocketIo({ port });
    await ask(client, maskedFrame(`420["subscribe","${channel}"]`), '430[');
    client.listen((text) => {
      const id = /^42(\d+)\["acked",/.exec(text)?.[1];
      if (id === undefined) return onWrong(text);
      client.send(quickFrame(`43${id}[]`));
      onAcked();
    });
    return client;
  },
});

export const ACKED: readonly Acked[] = [
  continuo('memory'),
  continuo('sqlite'),
  plain('ws', 'ws-channels'),
  socketIo('Socket.IO', []),
  socketIo('Socket.IO, recovery', ['recovery']),
  plain('Bun', 'bun-channels'),
];
