import { setTimeout as sleep } from 'node:timers/promises';

/** Before it dials again, in ms. */
const REDIAL_MS = 100;

/** A client of Socket.IO over WebSocket that comes back, and presents what recovery asks for: its private id and offset. */
export interface SocketIoClient {
  readonly isConnected: boolean;
  /** Returns whether it was answered. */
  ask(...args: readonly string[]): Promise<boolean>;
  close(): void;
}

export interface SocketIoClientOptions {
  readonly port: number;
  /** Called where the server knows nothing of it: at first, and when what was missed could not be had. */
  onNew(client: SocketIoClient): void;
  onEvent(args: readonly unknown[]): void;
}

export function openSocketIoClient({ port, onNew, onEvent }: SocketIoClientOptions): SocketIoClient {
  let socket: WebSocket | null = null;
  let isConnected = false;
  let isClosed = false;
  let pid: string | undefined;
  let offset: string | undefined;
  let asked = 0;
  const waiting = new Map<string, (isAnswered: boolean) => void>();

  function take(text: string): void {
    if (text === '2') socket?.send('3');
    else if (text.startsWith('0'))
      socket?.send(`40${pid === undefined ? '' : JSON.stringify({ pid, offset })}`);
    else if (text.startsWith('40')) {
      const { pid: given } = JSON.parse(text.slice(2)) as { readonly pid?: string };
      const isRecovered = pid !== undefined && given === pid;
      pid = given;
      isConnected = true;
      if (!isRecovered) onNew(client);
    } else if (text.startsWith('42')) {
      const args = JSON.parse(text.slice(2)) as unknown[];
      const last = args.at(-1);
      if (args.length > 2 && typeof last === 'string') offset = last;
      onEvent(args);
    } else if (text.startsWith('43')) {
      const id = /^43(\d+)/.exec(text)?.[1] ?? '';
      waiting.get(id)?.(true);
      waiting.delete(id);
    }
  }

  function dial(): void {
    const dialed = new WebSocket(`ws://127.0.0.1:${port}/socket.io/?EIO=4&transport=websocket`);
    socket = dialed;
    dialed.onmessage = ({ data }) => take(String(data));
    dialed.onerror = () => {}; // a close follows
    dialed.onclose = async () => {
      isConnected = false;
      for (const settle of waiting.values()) settle(false);
      waiting.clear();
      await sleep(REDIAL_MS);
      if (!isClosed) dial();
    };
  }

  const client: SocketIoClient = {
    get isConnected() {
      return isConnected;
    },
    ask(...args) {
      if (!isConnected) return Promise.resolve(false);
      const id = String(asked++);
      socket?.send(`42${id}${JSON.stringify(args)}`);
      return new Promise((resolve) => waiting.set(id, resolve));
    },
    close() {
      isClosed = true;
      socket?.close();
    },
  };
  dial();
  return client;
}
