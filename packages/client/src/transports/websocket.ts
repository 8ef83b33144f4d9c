import { type Platform, type SocketLike, systemPlatform } from '../connection/platform.ts';
import { createFrames, type Frames } from './frames.ts';
import { CloseError, type PushFrame, type PushTransport } from './transport.ts';

export interface WebSocketTransportOptions {
  /** `ws://host:8765/ws`; `http` and `https` are taken for `ws` and `wss`. */
  readonly url: string;
  /** For runtimes without a global one, such as the class of the `ws` package. */
  readonly WebSocket?: new (
    url: string,
  ) => SocketLike;
  /** For tests. */
  readonly platform?: Pick<Platform, 'dial'>;
}

/** Frames over one WebSocket. What `PushClient` uses unless it is told otherwise. */
export class WebSocketTransport implements PushTransport {
  readonly #dial: () => SocketLike;
  #socket: SocketLike | null = null;
  #frames: Frames = createFrames();
  #isOpen = false;

  constructor({ url, WebSocket, platform = systemPlatform }: WebSocketTransportOptions) {
    const address = url.replace(/^http/i, 'ws');
    this.#dial = () => (WebSocket ? new WebSocket(address) : platform.dial(address));
  }

  get isConnected(): boolean {
    return this.#isOpen;
  }

  /** Rejects with a `CloseError` when the socket does not open. */
  async connect(): Promise<void> {
    const frames = createFrames();
    const socket = this.#dial();
    this.#frames = frames;
    this.#socket = socket;
    await new Promise<void>((resolve, reject) => {
      socket.onopen = () => {
        this.#isOpen = true;
        resolve();
      };
      socket.onmessage = ({ data }) => {
        try {
          frames.push(JSON.parse(String(data)));
        } catch {
          end(1007, 'No JSON.');
        }
      };
      socket.onerror = () => {}; // a close follows and says more
      const end = (code: number, reason: string): void => {
        const error = new CloseError(code, reason || `The connection was closed (${code}).`);
        frames.end(error);
        reject(error);
        if (socket === this.#socket) this.#isOpen = false;
      };
      socket.onclose = ({ code, reason }) => end(code, reason);
    });
  }

  async disconnect(): Promise<void> {
    this.#isOpen = false;
    this.#frames.end(new CloseError(1000, 'disconnect() was called.'));
    this.#socket?.close(1000);
    this.#socket = null;
  }

  async send(frame: PushFrame): Promise<void> {
    if (!this.#isOpen || !this.#socket) throw new CloseError(1006, 'The transport is not connected.');
    this.#socket.send(JSON.stringify(frame));
  }

  receive(): Promise<PushFrame> {
    return this.#frames.take();
  }
}
