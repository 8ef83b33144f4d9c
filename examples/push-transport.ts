import assert from 'node:assert/strict';
import { on, once } from 'node:events';
import { PushClient, type PushFrame, type PushTransport } from '@continuo/client';
import { createGateway, openStore } from '@continuo/server';
import WebSocket from 'ws';

/** A transport of one's own has five members. Coming back, tokens, acks and everything else is the client's. */

class MyTransport implements PushTransport {
  #socket: WebSocket | null = null;
  #frames: AsyncIterableIterator<[Buffer]> | null = null;
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  get isConnected(): boolean {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  async connect(): Promise<void> {
    this.#socket = new WebSocket(this.#url);
    this.#frames = on(this.#socket, 'message', { close: ['close'] }) as AsyncIterableIterator<[Buffer]>;
    await once(this.#socket, 'open');
  }

  async disconnect(): Promise<void> {
    this.#socket?.close(1000);
  }

  async send(frame: PushFrame): Promise<void> {
    this.#socket?.send(JSON.stringify(frame));
  }

  async receive(): Promise<PushFrame> {
    const next = await this.#frames?.next();
    if (!next || next.done) throw new Error('the socket is closed');
    return JSON.parse(String(next.value[0]));
  }
}

const store = await openStore('memory');
const gateway = createGateway({ agents: [], store, push: true });
const { port } = await gateway.listen({ port: 0 });
const url = `ws://127.0.0.1:${port}/ws`;

const client = new PushClient({ url, transport: () => new MyTransport(url) });
await client.connect();
const waiting = client.waitFor('news', { timeoutMs: 5_000 });
await client.getPresence(); // answered after the subscription, for frames go in order
await gateway.channels.publish('news', 'over my own transport');
assert.deepEqual([(await waiting).data, client.transportName], ['over my own transport', 'custom']);
client.disconnect();
await gateway.close();
await store.close();
