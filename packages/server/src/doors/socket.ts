import { ERRORS, type ErrorCode, HANDSHAKE_MS, MAX_PAYLOAD, WireError } from '@continuo/protocol';
import type { ZodType } from 'zod';
import type { Authenticate } from '../auth/authenticate.ts';
import type { Principal } from '../core/access.ts';
import type { Clock, Peer, Report } from '../ports.ts';
import { StoreError } from '../ports.ts';

/** Frames of one socket that may be worked on or wait; beyond, nothing more is read from it. */
export const MAX_QUEUED_FRAMES = 1_000;

/** One kind of frame that clients send. */
export interface Row<State> {
  readonly schema: ZodType;
  /** The next frame waits until this one is done. */
  readonly inTurn?: boolean;
  handle(state: State, frame: never, request: Answered): Promise<void> | void;
}

/** What an answer repeats of its request. */
export interface Answered {
  readonly request_id?: unknown;
}

/** What is spoken on one path. */
export interface SocketProtocol<State> {
  readonly path: string;
  readonly rows: Readonly<Record<string, Row<State>>>;
  /** Whether a socket without its first frame is closed after {@link HANDSHAKE_MS}. */
  awaitsFirstFrame(connection: Connection): boolean;
  open(connection: Connection): State;
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
  readonly #authenticate: Authenticate;

  constructor(peer: Peer, credential: string | undefined, authenticate: Authenticate) {
    this.peer = peer;
    this.#credential = credential;
    this.#authenticate = authenticate;
  }

  /** Who this is, by the token of a frame or of the upgrade. Throws `unauthorized`. */
  authenticate(token?: string): Principal {
    return this.#authenticate(token ?? this.#credential);
  }

  /** Whether what came with the upgrade already says who it is. */
  isAuthenticated(): boolean {
    try {
      this.#authenticate(this.#credential);
      return true;
    } catch {
      return false; // the frame that needs it is told why
    }
  }

  send(frame: object): void {
    this.peer.send(this.peer.wire.frame(JSON.stringify(frame)));
  }

  /** Ends the connection as the error table says. */
  close(code: ErrorCode): void {
    this.peer.close(ERRORS[code].close, code);
  }
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
  /** Resolves when what closed sockets left to store is stored. */
  settled(): Promise<void>;
}

export interface SocketDoorOptions {
  readonly protocols: readonly SocketProtocol<unknown>[];
  readonly authenticate: Authenticate;
  readonly clock: Clock;
  readonly report: Report;
}

/** Owns every socket: frames in order, their checks, errors in one form, a bound on what waits. */
export function createSocketDoor({ protocols, authenticate, clock, report }: SocketDoorOptions): SocketDoor {
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
      const connection = new Connection(peer, request.credential, authenticate);
      return new SocketInbound(connection, protocol, request, { clock, report, otherDoor, left });
    },
  };
}

interface InboundDeps {
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
    if (protocol.awaitsFirstFrame(connection)) {
      const { clock } = deps;
      this.#stopDeadline = clock.schedule(clock.now() + HANDSHAKE_MS, () =>
        connection.close('handshake_timeout'),
      );
    }
  }

  receive(text: string): void {
    if (this.#over) return;
    if (this.#inTurn) {
      this.#waiting.push(text);
      this.#checkFlow();
    } else this.#take(text);
  }

  reject(why: 'binary' | 'too_large'): void {
    if (this.#over) return;
    const error =
      why === 'binary'
        ? new WireError('bad_frame', 'Frames are text: one JSON object each.')
        : new WireError(
            'too_large',
            `A frame has at most ${MAX_PAYLOAD} bytes. Send less, or a reference to it.`,
          );
    this.#refuse(error, undefined);
  }

  closed(): void {
    if (this.#over) return;
    this.#over = true;
    this.#waiting = [];
    this.#stopDeadline?.();
    this.#deps.left(this.#protocol.closed(this.#state));
  }

  #take(text: string): void {
    let frame: unknown;
    try {
      frame = JSON.parse(text);
    } catch {
      return this.#refuse(new WireError('bad_frame', 'The frame is not JSON.'), undefined);
    }
    if (typeof frame !== 'object' || frame === null || Array.isArray(frame)) {
      return this.#refuse(new WireError('bad_frame', 'A frame is one JSON object.'), undefined);
    }
    const { type, request_id: requestId } = frame as { type?: unknown; request_id?: unknown };
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
    this.#stopDeadline?.();
    this.#stopDeadline = null;
    this.#handle(row, parsed.data as never, requestId);
  }

  #handle(row: Row<unknown>, frame: never, requestId: unknown): void {
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
        if (row.inTurn) {
          this.#inTurn = false;
          while (!this.#inTurn && !this.#over) {
            const next = this.#waiting.shift();
            if (next === undefined) break;
            this.#take(next);
          }
        }
        this.#checkFlow();
      });
  }

  #checkFlow(): void {
    const full = this.#waiting.length + this.#underWay >= MAX_QUEUED_FRAMES;
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

  #refuse(error: unknown, requestId: unknown): void {
    if (this.#over) return;
    const { code, message, details } = toWireError(error, this.#deps.report);
    const answered = requestId === undefined ? {} : { request_id: requestId };
    this.#connection.send({ type: 'error', code, message, ...details, ...answered });
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
