import {
  ERRORS,
  type ErrorCode,
  type ErrorFrame,
  type GatewayServerFrame,
  type HelloErrorFrame,
  type HelloOkFrame,
  type PushServerFrame,
  RequestId,
  WireError,
} from '@continuo/protocol';
import type { ZodType } from 'zod';
import type { Authenticate } from '../auth/authenticate.ts';
import type { Principal } from '../core/access.ts';
import type { Limits } from '../limits.ts';
import type { Clock, Peer, Random, Report } from '../ports.ts';
import { StoreError } from '../ports.ts';
import { parseJson } from './json.ts';

/** Frames of one socket that may be worked on or wait; beyond, nothing more is read from it. */
export const MAX_QUEUED_FRAMES = 1_000;
/** Bytes of answers a client may leave unread: above, nothing more is read from it. Feeds stop long before. */
const UNREAD_BYTES = 2 * 1024 * 1024;
/** Over how long clients are told to come back when the server goes, in ms, and how soon at the earliest. */
const GOAWAY_SPREAD_MS = 5_000;
const GOAWAY_MIN_MS = 200;

const MaybeRequestId = RequestId.optional();

/** One kind of frame that clients send. */
export interface Row<State> {
  readonly schema: ZodType;
  /** The next frame waits until this one is done. */
  readonly inTurn?: boolean;
  handle(state: State, frame: never, request: Answered): Promise<void> | void;
}

/** What an answer repeats of its request. */
export interface Answered {
  readonly request_id?: RequestId;
}

/** All that a server says over a socket by itself; what feeds say is encoded by their dialects. */
export type ServerFrame = GatewayServerFrame | HelloOkFrame | HelloErrorFrame | PushServerFrame;

/** What is spoken on one path. */
export interface SocketProtocol<State> {
  readonly path: string;
  readonly rows: Readonly<Record<string, Row<State>>>;
  open(connection: Connection): State;
  /** Whether it waits for what is under way here. Default: it does not. */
  isBusy?(state: State): boolean;
  closed(state: State): Promise<void> | void;
}

/** What the edge knows of an upgraded request. */
export interface SocketRequest {
  readonly path: string;
  /** From `Authorization` or `?token=`. */
  readonly credential: string | undefined;
  /** Stops and goes on reading from the socket. */
  pause(): void;
  resume(): void;
}

/** One socket, as its door sees it. */
export class Connection {
  readonly peer: Peer;
  readonly #credential: string | undefined;
  readonly #deps: ConnectionDeps;
  #stopExpiry: (() => void) | null = null;
  /** The error that was told last: a close with its code is not another one. */
  #told: ErrorCode | null = null;
  /** Called when it is known who this is. */
  onceKnown: () => void = () => {};

  constructor(peer: Peer, credential: string | undefined, deps: ConnectionDeps) {
    this.peer = peer;
    this.#credential = credential;
    this.#deps = deps;
  }

  /**
   * Who this is, by the token of a frame or of the upgrade. Throws `unauthorized`. When the token's time is over, so is
   * the connection's, unless another token was presented meanwhile.
   */
  async authenticate(token?: string): Promise<Principal> {
    const { authenticate, clock } = this.#deps;
    const principal = await authenticate(token ?? this.#credential);
    this.onceKnown();
    this.#stopExpiry?.();
    const { expiresAt } = principal;
    this.#stopExpiry =
      expiresAt === undefined ? null : clock.schedule(expiresAt, () => this.close('unauthorized'));
    return principal;
  }

  send(frame: ServerFrame): void {
    this.peer.send(this.peer.wire.frame(JSON.stringify(frame)));
  }

  /** Sends an error, in the words of whoever asked. */
  sendError(code: ErrorCode, frame: ErrorFrame | HelloErrorFrame): void {
    this.#told = code;
    this.#deps.onError?.(code);
    this.send(frame);
  }

  /** Ends the connection as the error table says. */
  close(code: ErrorCode): void {
    if (this.#told !== code && code !== 'draining') this.#deps.onError?.(code);
    this.dispose();
    this.peer.close(ERRORS[code].close, code);
  }

  dispose(): void {
    this.#stopExpiry?.();
    this.#stopExpiry = null;
  }
}

interface ConnectionDeps {
  readonly authenticate: Authenticate;
  readonly clock: Clock;
  readonly onError?: ((code: ErrorCode) => void) | undefined;
}

export interface Inbound {
  receive(text: string): void;
  /** A frame that is not read at all. */
  reject(why: 'binary' | 'too_large'): void;
  closed(): void;
}

export interface SocketDoor {
  /** Whether a path takes sockets. */
  has(path: string): boolean;
  open(peer: Peer, request: SocketRequest): Inbound;
  /** Tells every client, or those that wait for nothing here, when to come back, each another time, and closes its socket. */
  drain(which?: 'all' | 'idle'): void;
  readonly size: number;
  /** Bytes that all clients together have not taken yet. Looks at every socket. */
  readonly bufferedBytes: number;
  /** Resolves when what closed sockets left to store is stored. */
  settled(): Promise<void>;
}

export interface SocketDoorOptions {
  readonly protocols: readonly SocketProtocol<unknown>[];
  readonly authenticate: Authenticate;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly random: Random;
  readonly report: Report;
  /** Called for every error that a client is told. */
  readonly onError?: (code: ErrorCode) => void;
}

/** Owns every socket: frames in order, their checks, errors in one form, a bound on what waits. */
export function createSocketDoor(options: SocketDoorOptions): SocketDoor {
  const { protocols, authenticate, limits, clock, random, report, onError } = options;
  const open = new Map<Connection, () => boolean>();
  const byPath = new Map(protocols.map((protocol) => [protocol.path, protocol]));

  /** The path on which a type of frame is spoken, if not on this one. */
  function otherDoor(type: string, path: string): string | undefined {
    return protocols.find((protocol) => protocol.path !== path && Object.hasOwn(protocol.rows, type))?.path;
  }

  const leaving = new Set<Promise<void>>();
  function left(done: Promise<void> | void): void {
    if (!done) return;
    leaving.add(done);
    done
      .catch((error: unknown) => report('a socket that was left', error))
      .finally(() => leaving.delete(done));
  }

  return {
    async settled() {
      await Promise.allSettled([...leaving]);
    },
    has: (path) => byPath.has(path),
    open(peer, request) {
      const protocol = byPath.get(request.path);
      if (!protocol) throw new Error(`no door at ${request.path}`);
      const connection = new Connection(peer, request.credential, { authenticate, clock, onError });
      open.set(connection, () => false);
      const inbound = new SocketInbound(connection, protocol, request, {
        limits,
        clock,
        report,
        otherDoor,
        left(done) {
          open.delete(connection);
          connection.dispose();
          left(done);
        },
      });
      open.set(connection, () => inbound.isBusy);
      return inbound;
    },
    drain(which = 'all') {
      for (const [connection, isBusy] of [...open]) {
        if (which === 'idle' && isBusy()) continue;
        const retryAfterMs = Math.round(GOAWAY_MIN_MS + random.next() * (GOAWAY_SPREAD_MS - GOAWAY_MIN_MS));
        connection.send({ type: 'goaway', retry_after_ms: retryAfterMs });
        connection.close('draining');
      }
    },
    get size() {
      return open.size;
    },
    get bufferedBytes() {
      let bytes = 0;
      for (const { peer } of open.keys()) bytes += peer.bufferedBytes;
      return bytes;
    },
  };
}

interface InboundDeps {
  readonly limits: Limits;
  readonly clock: Clock;
  readonly report: Report;
  otherDoor(type: string, path: string): string | undefined;
  left(done: Promise<void> | void): void;
}

class SocketInbound implements Inbound {
  readonly #connection: Connection;
  readonly #protocol: SocketProtocol<unknown>;
  readonly #request: SocketRequest;
  readonly #deps: InboundDeps;
  readonly #state: unknown;
  #waiting: string[] = [];
  #underWay = 0;
  #inTurn = false;
  /** Frames taken in the second that began at `windowAt`: above the limit the rest waits for the next. */
  #taken = 0;
  #windowAt = 0;
  #stopWindow: (() => void) | null = null;
  /** Its client does not read what it was answered. */
  #isUnread = false;
  #paused = false;
  #over = false;
  #stopDeadline: (() => void) | null = null;

  constructor(
    connection: Connection,
    protocol: SocketProtocol<unknown>,
    request: SocketRequest,
    deps: InboundDeps,
  ) {
    this.#connection = connection;
    this.#protocol = protocol;
    this.#request = request;
    this.#deps = deps;
    this.#state = protocol.open(connection);
    const { clock, limits } = deps;
    this.#stopDeadline = clock.schedule(clock.now() + limits.handshakeMs, () =>
      connection.close('handshake_timeout'),
    );
    connection.onceKnown = () => this.#dropDeadline();
  }

  #dropDeadline(): void {
    this.#stopDeadline?.();
    this.#stopDeadline = null;
  }

  get isBusy(): boolean {
    return this.#protocol.isBusy?.(this.#state) ?? false;
  }

  receive(text: string): void {
    if (this.#over) return;
    if (this.#isHeld() || this.#isOverRate()) {
      this.#waiting.push(text);
      this.#checkFlow();
    } else this.#take(text);
  }

  /** Whether the next frame must wait: for its turn, for the next second, or until its client takes the answers it has. */
  #isHeld(): boolean {
    if (this.#inTurn || this.#stopWindow !== null || this.#isUnread) return true;
    const { peer } = this.#connection;
    if (peer.bufferedBytes < UNREAD_BYTES) return false;
    this.#isUnread = true;
    peer.onceDrained(this.#onDrained);
    return true;
  }

  readonly #onDrained = (): void => {
    this.#isUnread = false;
    this.#drainWaiting();
  };

  /** Counts a frame; when there were too many in this second, those that follow wait for the next. */
  #isOverRate(): boolean {
    const { clock, limits } = this.#deps;
    const now = clock.now();
    if (now - this.#windowAt >= 1_000) {
      this.#windowAt = now;
      this.#taken = 0;
    }
    if (this.#taken++ < limits.framesPerSecond) return false;
    this.#stopWindow = clock.schedule(this.#windowAt + 1_000, () => {
      this.#stopWindow = null;
      this.#drainWaiting();
    });
    return true;
  }

  #drainWaiting(): void {
    while (!this.#isHeld() && !this.#over && this.#waiting.length > 0) {
      if (this.#isOverRate()) break;
      this.#take(this.#waiting.shift() ?? '');
    }
    this.#checkFlow();
  }

  reject(why: 'binary' | 'too_large'): void {
    if (this.#over) return;
    const error =
      why === 'binary'
        ? new WireError('bad_frame', 'Frames are text: one JSON object each.')
        : new WireError(
            'too_large',
            `A frame has at most ${this.#deps.limits.maxPayloadBytes} bytes. Send less, or a reference to it.`,
          );
    this.#refuse(error, undefined);
  }

  closed(): void {
    if (this.#over) return;
    this.#over = true;
    this.#waiting = [];
    this.#dropDeadline();
    this.#stopWindow?.();
    this.#deps.left(this.#protocol.closed(this.#state));
  }

  #take(text: string): void {
    let frame: unknown;
    try {
      frame = parseJson(text, 'bad_frame');
    } catch (error) {
      return this.#refuse(error, undefined);
    }
    if (typeof frame !== 'object' || frame === null || Array.isArray(frame)) {
      return this.#refuse(new WireError('bad_frame', 'A frame is one JSON object.'), undefined);
    }
    const { type, request_id } = frame as { type?: unknown; request_id?: unknown };
    const parsedId = MaybeRequestId.safeParse(request_id);
    if (!parsedId.success) {
      const problem = '"request_id" is a number, or text of at most 200 characters.';
      return this.#refuse(new WireError('bad_frame', problem), undefined);
    }
    const requestId = parsedId.data;
    const row =
      typeof type === 'string' && Object.hasOwn(this.#protocol.rows, type)
        ? this.#protocol.rows[type]
        : undefined;
    if (!row) return this.#refuse(this.#unknown(type), requestId);
    const parsed = row.schema.safeParse(frame);
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      const where = issue?.path.join('.');
      return this.#refuse(
        new WireError('bad_request', `${type}: ${where ? `"${where}" ` : ''}${issue?.message}`),
        requestId,
      );
    }
    this.#handle(row, parsed.data as never, requestId);
  }

  #handle(row: Row<unknown>, frame: never, requestId: RequestId | undefined): void {
    let done: Promise<void> | void;
    try {
      done = row.handle(this.#state, frame, requestId === undefined ? {} : { request_id: requestId });
    } catch (error) {
      return this.#refuse(error, requestId);
    }
    if (!done) return;
    this.#underWay++;
    if (row.inTurn) this.#inTurn = true;
    this.#checkFlow();
    done
      .catch((error: unknown) => this.#refuse(error, requestId))
      .finally(() => {
        this.#underWay--;
        if (row.inTurn) this.#inTurn = false;
        this.#drainWaiting();
      });
  }

  #checkFlow(): void {
    const held = this.#stopWindow !== null || this.#isUnread;
    const full = held || this.#waiting.length + this.#underWay >= MAX_QUEUED_FRAMES;
    if (full === this.#paused) return;
    this.#paused = full;
    if (full) this.#request.pause();
    else this.#request.resume();
  }

  #unknown(type: unknown): WireError {
    if (typeof type !== 'string') return new WireError('bad_frame', 'A frame has a "type", which is text.');
    const path = this.#deps.otherDoor(type, this.#protocol.path);
    return path
      ? new WireError('wrong_door', `"${type}" is spoken on ${path}, not on ${this.#protocol.path}.`)
      : new WireError('unknown_type', `Unknown message type: ${type.slice(0, 100)}`);
  }

  #refuse(error: unknown, requestId: RequestId | undefined): void {
    if (this.#over) return;
    const { code, message, details } = toWireError(error, this.#deps.report);
    const answered = requestId === undefined ? {} : { request_id: requestId };
    this.#connection.sendError(code, { ...details, type: 'error', code, message, ...answered });
    if (code === 'unauthorized') this.#connection.close(code);
  }
}

/** Anything thrown, as what a peer may be told of it. What is our own fault goes to the report. */
export function toWireError(error: unknown, report: Report): WireError {
  if (error instanceof WireError) return error;
  if (error instanceof StoreError) {
    if (error.code === 'too_large')
      return new WireError('too_large', 'The data is too large. Send less, or a reference to it.');
    if (error.code === 'unavailable') {
      report('the store', error);
      return new WireError(
        'unavailable',
        'The store cannot be reached. Try again soon: nothing was acknowledged.',
      );
    }
  }
  report('a request', error);
  return new WireError('internal', 'Something went wrong here. It was noted; try again.', { cause: error });
}
