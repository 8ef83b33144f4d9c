import type { Backoff } from './connection/backoff.ts';
import { type ConnectionStatus, createConnection } from './connection/connection.ts';
import { createOutbox } from './connection/outbox.ts';
import type { Platform } from './connection/platform.ts';
import { ruleOfCode } from './connection/retry.ts';
import { createTokens, type TokenSource } from './connection/tokens.ts';
import { ConnectionError, endOf, errorOf } from './errors.ts';
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

/** What every client has: one connection after the other, the calls and requests that outlive them, and its errors. */
export interface Link {
  readonly status: ConnectionStatus;
  /** Why it is over, until somebody connects anew; `null` once it was connected. */
  readonly end: Error | null | undefined;
  /** What a greeting presents. */
  readonly token: string | undefined;
  /**
   * Resolves when it is connected, rejects with the reason of the end or of the signal. A signal ends its own call; the
   * connection too where no other call waits for it and it was not there before.
   */
  connect(signal: AbortSignal | undefined): Promise<void>;
  disconnect(): void;
  nudge(): void;
  /** Sends a frame on the open socket; false when there is none. */
  send(frame: object): boolean;
  /** A request of the application, which waits for a connection. Rejects with the reason of the end after it. */
  request(frame: object, repeatable?: boolean, id?: string): Promise<Frame>;
  /** A request of the client itself, for this connection alone. */
  ask(frame: object): Promise<Frame>;
  /** Whether the frame was the answer to a request. */
  answer(frame: Frame): boolean;
  /** The server has taken the greeting; again while connected: what was asked before is asked anew. */
  greeted(): void;
  /** Calls what the application gave: what it throws is reported. */
  call(callback: () => void): void;
  report(error: unknown): void;
}

export function createLink(options: LinkOptions): Link {
  const { platform, ears } = options;
  const terms = termsOf(options);
  const tokens = createTokens(options.token);
  const waiting = new Set<{ readonly resolve: () => void; readonly reject: (error: unknown) => void }>();
  let end: Error | null | undefined;

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

  const isConnected = (): boolean => connection.status === 'connected';

  const connection = createConnection({
    ...options,
    url: options.url.replace(/^http/i, 'ws'),
    tokens,
    terms,
    onFrame(frame) {
      const error = frame.type === 'error' ? errorOf(frame) : null;
      // A token that is over is the end of the connection, and no answer: it is asked again with the next one.
      const isTokenOver = error?.code === 'unauthorized';
      if (!isTokenOver && outbox.answer(frame)) return;
      connection.hint(frame.retry_after_ms);
      if (!error) options.onFrame(frame);
      else if (isTokenOver || !isConnected()) connection.refused(error, ruleOfCode(error.code));
      else report(error);
    },
    onStatus(status) {
      if (isConnected()) begin();
      else broke();
      call(() => ears.onStateChange?.(status));
    },
    onEnd: (reason) => over(reason === null ? undefined : endOf(reason)),
    onProblem: report,
  });
  const outbox = createOutbox({ send: connection.send, maxBytes: options.maxBytes });

  function begin(): void {
    options.onBegin?.();
    outbox.flush();
  }

  function broke(): void {
    options.onBroke?.();
    outbox.broke();
  }

  function settle(reason: Error | null): void {
    end = reason;
    for (const { resolve, reject } of waiting)
      if (reason) reject(reason);
      else resolve();
    waiting.clear();
  }

  function over(reason: Error | undefined): void {
    const error = reason ?? new ConnectionError('disconnect() was called.');
    settle(error);
    outbox.end(error);
    options.onEnd(error, reason);
  }

  function disconnect(): void {
    if (connection.status === 'disconnected') over(undefined);
    else connection.disconnect();
  }

  return {
    get status() {
      return connection.status;
    },
    get end() {
      return end;
    },
    get token() {
      return tokens.current;
    },
    connect(signal) {
      if (signal?.aborted) return Promise.reject(signal.reason);
      if (isConnected()) return Promise.resolve();
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const call = { resolve, reject };
      const stop = (): void => {
        reject(signal?.reason);
        waiting.delete(call);
        // One that was connected belongs to more than the calls that wait.
        if (!waiting.size && end === undefined) disconnect();
      };
      const settled = (): void => signal?.removeEventListener('abort', stop);
      signal?.addEventListener('abort', stop);
      promise.then(settled, settled); // whoever called has the promise; after that, onEnd tells the readers
      waiting.add(call);
      end &&= undefined;
      connection.connect();
      return promise;
    },
    disconnect,
    nudge: connection.nudge,
    send: (frame) => connection.send(JSON.stringify(frame)),
    async request(frame, repeatable = true, id = platform.id()) {
      if (end) throw end;
      return outbox.add({ id, frame, repeatable });
    },
    ask: (frame) => outbox.add({ id: platform.id(), frame, repeatable: false, isOwn: true }),
    answer: outbox.answer,
    greeted() {
      if (isConnected()) {
        broke();
        return begin();
      }
      connection.greeted();
      settle(null);
    },
    call,
    report,
  };
}
