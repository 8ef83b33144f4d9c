import { checkOption } from './check-option.ts';
import { BACKOFF, type Backoff, checkBackoff } from './connection/backoff.ts';
import { type ConnectionStatus, createConnection } from './connection/connection.ts';
import { createOutbox } from './connection/outbox.ts';
import { type Platform, type PlatformOptions, platformOf } from './connection/platform.ts';
import { ruleOfCode } from './connection/retry.ts';
import { createTokens, type TokenSource } from './connection/tokens.ts';
import { ConnectionError, endOf, errorOf } from './errors.ts';

/** A frame, by its fields. */
type Frame = Readonly<Record<string, unknown>>;

export interface LinkOptions {
  readonly url: string;
  readonly token?: TokenSource | undefined;
  readonly reconnect?: boolean | undefined;
  readonly backoff?: Partial<Backoff> | undefined;
  readonly maxReconnectAttempts?: number | undefined;
  readonly WebSocket?: PlatformOptions['WebSocket'];
  readonly platform?: Partial<Platform> | undefined;
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
  /** Whether the frame was the answer to a request that is not of the link. */
  answer?(frame: Frame): boolean;
  /** There is a new connection, and what waits is about to be sent; or it is gone. */
  onChange?(isNew: boolean): void;
  /** It is over; without a reason because `disconnect` was called. */
  onEnd(error: Error, reason: Error | undefined): void;
}

/** What every client has: one connection after the other, the calls and requests that outlive them, and its errors. */
export interface Link {
  readonly platform: Platform;
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
  send(text: string): boolean;
  /** A request of the application, which waits for a connection. Rejects with the reason of the end after it. */
  request(frame: object, repeatable?: boolean, id?: string): Promise<Frame>;
  /** As if the connection were new (or gone): what was asked before is asked anew. */
  change(isNew: boolean): void;
  /** The server has taken the greeting. */
  greeted(): void;
  /** Calls what the application gave: what it throws is reported. */
  call(callback: () => void): void;
  report(error: unknown): void;
}

export function createLink(options: LinkOptions): Link {
  const { ears } = options;
  const platform = platformOf(options);
  const { url, reconnect = true, maxReconnectAttempts: maxAttempts = Number.MAX_VALUE } = options;
  checkOption('url', url, 'string');
  checkOption('maxReconnectAttempts', maxAttempts, 'number', maxAttempts >= 0);
  const tokens = createTokens(options.token);
  const waiting = new Set<PromiseWithResolvers<void>>();
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
    platform,
    url: url.replace(/^http/i, 'ws'),
    tokens,
    terms: {
      backoff: checkBackoff({ ...BACKOFF, ...options.backoff }),
      reconnect,
      maxAttempts,
    },
    onFrame(frame) {
      if (outbox.answer(frame) || options.answer?.(frame)) return;
      connection.hint(frame.retry_after_ms);
      if (frame.type !== 'error') return options.onFrame(frame);
      const error = errorOf(frame);
      if (isConnected() && error.code !== 'unauthorized') report(error);
      else connection.refused(error, ruleOfCode(error.code));
    },
    onStatus(status) {
      change(isConnected());
      call(() => ears.onStateChange?.(status));
    },
    onEnd: (reason) => over(reason === null ? undefined : endOf(reason)),
    onProblem: report,
  });
  const outbox = createOutbox({ send: connection.send, maxBytes: options.maxBytes });

  function change(isNew: boolean): void {
    options.onChange?.(isNew);
    if (isNew) outbox.flush();
    else outbox.broke();
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
    platform,
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
      const call = Promise.withResolvers<void>();
      const stop = (): void => {
        call.reject(signal?.reason);
        waiting.delete(call);
        // One that was connected belongs to more than the calls that wait.
        if (!waiting.size && end === undefined) disconnect();
      };
      const settled = (): void => signal?.removeEventListener('abort', stop);
      signal?.addEventListener('abort', stop);
      call.promise.then(settled, settled); // whoever called has the promise; after that, onEnd tells the readers
      waiting.add(call);
      end &&= undefined;
      connection.connect();
      return call.promise;
    },
    disconnect,
    nudge: connection.nudge,
    send: connection.send,
    async request(frame, repeatable = true, id = platform.id()) {
      if (end) throw end;
      return outbox.add({ id, frame, repeatable });
    },
    change,
    greeted() {
      connection.greeted();
      settle(null);
    },
    call,
    report,
  };
}
