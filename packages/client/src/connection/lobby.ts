import type { Connection } from './connection.ts';

/** The calls of `connect()` that wait for a connection, and what became of it. */
export interface Lobby {
  /** Why it is over, until somebody connects anew; `null` once it was connected. */
  readonly end: Error | null | undefined;
  /**
   * Resolves when it is connected, rejects with the reason of the end or of the signal. A signal ends its own call; the
   * connection too where no other call waits for it and it was not there before.
   */
  enter(signal: AbortSignal | undefined): Promise<void>;
  /** What became of connecting. */
  settle(end: Error | null): void;
}

export function createLobby(connection: Connection, disconnect: () => void): Lobby {
  const waiting = new Set<{ readonly resolve: () => void; readonly reject: (error: unknown) => void }>();
  let end: Error | null | undefined;

  return {
    get end() {
      return end;
    },
    enter(signal) {
      if (signal?.aborted) return Promise.reject(signal.reason);
      if (connection.status === 'connected') return Promise.resolve();
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
    settle(reason) {
      end = reason;
      for (const call of waiting)
        if (reason) call.reject(reason);
        else call.resolve();
      waiting.clear();
    },
  };
}
