import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock } from '../ports.ts';

/** A gateway below a path of a server that is somebody else's. */

/** How long answers under way may take when the gateway closes, in ms. */
const CLOSE_MS = 2_000;

const DEFAULT_PATH = '/continuo';

export interface AttachOptions {
  /** Door 1 is at this path, everything else below it: `/ws`, `/agents`. Default `/continuo`; `/` takes the whole server. */
  readonly path?: string;
}

export interface Mounts {
  /**
   * Takes the requests and upgrades of a server of `node:http` or `node:https` below a path; no other listener of the
   * server sees them, and all others go to its listeners as before. Returns the way to stop; sockets that are open stay.
   */
  attach(server: Server, options?: AttachOptions): () => void;
  /** Takes one upgrade. Its URL is a path of the gateway: `/` or `/ws`. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Notes a request that another server's listener hands over by itself. */
  note(incoming: IncomingMessage): void;
  /** How a request came; `undefined` when it came to the gateway's own server. */
  arrivalOf(incoming: IncomingMessage): Arrival | undefined;
  /** Gives every server back and waits for the answers under way. Idempotent. */
  close(): Promise<void>;
}

export interface Arrival {
  /** What the server is bound to: an address, or the path of a Unix socket. */
  readonly address: string;
  /** What stood before the URL's path: such as `/continuo`, or nothing. */
  readonly prefix: string;
}

export interface MountsOptions {
  /** The gateway's own server: it need not listen. What is taken goes to its listeners as if it had come to it. */
  own(): Server;
  readonly clock: Clock;
}

export function createMounts({ own, clock }: MountsOptions): Mounts {
  const arrivals = new WeakMap<IncomingMessage, Arrival>();
  const detachers = new Set<() => void>();
  const answers = new Set<ServerResponse>();
  let onEmpty = (): void => {};
  let isClosed = false;

  function takeRequest(incoming: IncomingMessage, outgoing: ServerResponse): void {
    answers.add(outgoing);
    outgoing.once('close', () => {
      answers.delete(outgoing);
      if (answers.size === 0) onEmpty();
    });
    own().emit('request', incoming, outgoing);
  }

  function takeUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (isClosed) socket.destroy();
    else own().emit('upgrade', request, socket, head);
  }

  function attach(server: Server, { path = DEFAULT_PATH }: AttachOptions = {}): () => void {
    if (isClosed) throw new Error('The gateway is closed: make another to attach.');
    const prefix = checkPath(path);
    let isAttached = true;

    /** Whether it is ours; if so, with the URL that the gateway's own server would see. */
    function claim(incoming: IncomingMessage): boolean {
      const url = isAttached ? urlBelow(prefix, incoming.url ?? '') : null;
      if (url === null) return false;
      incoming.url = url;
      arrivals.set(incoming, { address: boundTo(server) ?? localAddressOf(incoming), prefix });
      return true;
    }

    function take(event: string | symbol, args: readonly unknown[]): boolean {
      const [incoming, second, head] = args as [IncomingMessage, unknown, Buffer];
      switch (event) {
        case 'request':
        case 'checkContinue': {
          if (!claim(incoming)) return false;
          const outgoing = second as ServerResponse;
          if (event === 'checkContinue') outgoing.writeContinue();
          takeRequest(incoming, outgoing);
          return true;
        }
        case 'upgrade': {
          if (!claim(incoming)) return false;
          takeUpgrade(incoming, second as Duplex, head);
          return true;
        }
        default:
          return false;
      }
    }

    // Listeners cannot keep an event from each other: a router would answer 404 to what is ours, and another WebSocket
    // server would end our upgrades. So what is ours is taken before it is emitted.
    const before = Object.getOwnPropertyDescriptor(server, 'emit');
    const { emit } = server;
    const emitOthers = (event: string | symbol, ...args: readonly unknown[]): boolean =>
      take(event, args) || Reflect.apply(emit, server, [event, ...args]);
    Object.defineProperty(server, 'emit', { value: emitOthers, configurable: true, writable: true });
    server.on('upgrade', onUpgrade);

    function detach(): void {
      if (!isAttached) return;
      isAttached = false;
      detachers.delete(detach);
      server.off('upgrade', onUpgrade);
      if (Reflect.get(server, 'emit') !== emitOthers) return; // wrapped again since: ours lets everything through now
      if (before) Object.defineProperty(server, 'emit', before);
      else Reflect.deleteProperty(server, 'emit');
    }
    detachers.add(detach);
    return detach;
  }

  async function close(): Promise<void> {
    isClosed = true;
    for (const detach of detachers) detach();
    if (answers.size === 0) return;
    const stop = clock.schedule(clock.now() + CLOSE_MS, () => {
      for (const outgoing of answers) outgoing.destroy();
    });
    await new Promise<void>((resolve) => {
      onEmpty = resolve;
    });
    stop();
  }
  let closing: Promise<void> | null = null;

  return {
    attach,
    upgrade(request, socket, head) {
      arrivals.set(request, { address: localAddressOf(request), prefix: '' });
      takeUpgrade(request, socket, head);
    },
    note(incoming) {
      arrivals.set(incoming, { address: localAddressOf(incoming), prefix: '' });
    },
    arrivalOf: (incoming) => arrivals.get(incoming),
    close() {
      closing ??= close();
      return closing;
    },
  };
}

/**
 * Without a listener, Node takes an upgrade for a plain request; with this one alone, an upgrade that is nobody's would
 * leave its client waiting.
 */
function onUpgrade(this: Server, _request: IncomingMessage, socket: Duplex): void {
  if (socket.writableEnded || this.listeners('upgrade').some((listener) => listener !== onUpgrade)) return;
  socket.on('error', () => socket.destroy());
  socket.end('HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
}

/** What a server is bound to: an address, or the path of a Unix socket; `null` while it does not listen. */
export function boundTo(server: Server): string | null {
  const address = server.address();
  return typeof address === 'object' ? plain(address?.address) : address;
}

/** Where a connection came in: as good as the server's address where the server is not known. */
function localAddressOf({ socket }: IncomingMessage): string {
  return plain(socket.localAddress) ?? '';
}

/** An IPv4 address as such, also where the server listens on IPv6. */
function plain(address: string | undefined): string | null {
  return address?.replace(/^::ffff:/i, '') ?? null;
}

/** The path without its last slash. Throws a sentence when it is none. */
function checkPath(path: string): string {
  if (path === '/') return '';
  if (!/^(\/[\w.~-]+)+$/.test(path))
    throw new RangeError(
      `attach: the path "${path}" must be / or like /continuo, without a slash at its end`,
    );
  return path;
}

/** What is left of a URL below a prefix, or `null` when it is not below it. */
function urlBelow(prefix: string, url: string): string | null {
  if (!url.startsWith(prefix)) return null;
  const rest = url.slice(prefix.length);
  if (rest.startsWith('/')) return rest;
  return rest === '' || rest.startsWith('?') ? `/${rest}` : null;
}
