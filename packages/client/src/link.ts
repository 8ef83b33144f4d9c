import type { Backoff } from './connection/backoff.ts';
import { type Connection, type ConnectionStatus, createConnection } from './connection/connection.ts';
import { createLobby, type Lobby } from './connection/lobby.ts';
import { createOutbox, type Outbox } from './connection/outbox.ts';
import type { Platform } from './connection/platform.ts';
import { ruleOfCode } from './connection/retry.ts';
import { createTokens, type TokenSource } from './connection/tokens.ts';
import { endOf, errorOf } from './errors.ts';
import { termsOf } from './options.ts';

/** A frame, by its fields. */
type Frame = Readonly<Record<string, unknown>>;

export interface LinkOptions {
  readonly url: string;
  readonly token?: TokenSource | undefined;
  readonly reconnect?: boolean | undefined;
  readonly backoff?: Partial<Backoff> | undefined;
  readonly maxReconnectAttempts?: number | undefined;
  readonly platform: Platform;
  /** Callbacks of the application, looked up whenever there is something to tell. */
  readonly ears: {
    readonly onStateChange?: ((state: ConnectionStatus) => void) | undefined;
    readonly onError?: ((error: unknown) => void) | undefined;
  };
  /** The first frame of a new socket. */
  greeting(): object;
  /** Of a frame, in bytes, where it is known. */
  maxBytes(): number | undefined;
  /** A frame that is neither an answer nor an error. */
  onFrame(frame: Frame): void;
  /** The connection is new: before what waits is sent. */
  onBegin?(): void;
  onBroke?(): void;
  /** It is over; without a reason because `disconnect` was called. */
  onEnd(error: Error, reason: Error | undefined): void;
}

/** What every client has: one connection after the other, the requests that outlive them, and who is told of errors. */
export interface Link {
  readonly connection: Connection;
  readonly lobby: Lobby;
  /** What a greeting presents. */
  readonly token: string | undefined;
  /** Requests beside those of `request`, at most `limit`. */
  createOutbox(limit: number): Outbox;
  /** A request of the application, which waits for a connection. Rejects with the reason of the end after it. */
  request(frame: object, repeatable: boolean, id?: string): Promise<Frame>;
  /** Whether the frame was the answer to a request. */
  answer(frame: Frame): boolean;
  /** The server has taken the greeting; again while connected: what was asked before is asked anew. */
  greeted(): void;
  disconnect(): void;
  /** Calls what the application gave: what it throws is reported. */
  call(callback: () => void): void;
  report(error: unknown): void;
}

export function createLink(options: LinkOptions): Link {
  const { url, platform, ears } = options;
  const tokens = createTokens(options.token);
  const outboxes: Outbox[] = [];
  const terms = termsOf(options);

  function call(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      report(error);
    }
  }

  function report(error: unknown): void {
    try {
      (ears.onError ?? console.error)(error);
    } catch (thrown) {
      console.error(thrown);
    }
  }

  const answer = (frame: Frame): boolean => outboxes.some((each) => each.answer(frame));

  const connection = createConnection({
    url: url.replace(/^http/i, 'ws'),
    platform,
    tokens,
    terms,
    greeting: options.greeting,
    ping: { type: 'ping' },
    onFrame(frame) {
      const error = frame.type === 'error' ? errorOf(frame) : null;
      // A token that is over is the end of the connection, and no answer: it is asked again with the next one.
      const isTokenOver = error?.code === 'unauthorized';
      if (!isTokenOver && answer(frame)) return;
      connection.hint(frame.retry_after_ms);
      if (!error) options.onFrame(frame);
      else if (isTokenOver || connection.status !== 'connected')
        connection.refused(error, ruleOfCode(error.code));
      else report(error);
    },
    onStatus(status) {
      if (status === 'connected') begin();
      else broke();
      call(() => ears.onStateChange?.(status));
    },
    onEnd: (reason) => end(reason === null ? undefined : endOf(reason)),
    onProblem: report,
  });

  function begin(): void {
    options.onBegin?.();
    for (const each of outboxes) each.flush();
  }

  function broke(): void {
    options.onBroke?.();
    for (const each of outboxes) each.broke();
  }

  function end(reason: Error | undefined): void {
    const error = reason ?? endOf('disconnect() was called.');
    lobby.settle(error);
    for (const each of outboxes) each.end(error);
    options.onEnd(error, reason);
  }

  function disconnect(): void {
    if (connection.status === 'disconnected') end(undefined);
    else connection.disconnect();
  }

  function addOutbox(limit: number): Outbox {
    const outbox = createOutbox({ send: connection.send, maxBytes: options.maxBytes, limit });
    outboxes.push(outbox);
    return outbox;
  }

  const lobby = createLobby(connection, disconnect);
  const requests = addOutbox(1_000);

  return {
    connection,
    lobby,
    get token() {
      return tokens.current;
    },
    answer,
    createOutbox: addOutbox,
    async request(frame, repeatable, id = platform.id()) {
      if (lobby.end) throw lobby.end;
      return requests.add({ id, frame, repeatable });
    },
    greeted() {
      if (connection.status === 'connected') {
        broke();
        return begin();
      }
      connection.greeted();
      lobby.settle(null);
    },
    disconnect,
    call,
    report,
  };
}
