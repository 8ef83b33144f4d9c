import type { Platform } from '../connection/platform.ts';
import { TimeoutError } from '../errors.ts';

/** What ends a request: its time, or who no longer wants it. */
export interface Fuse {
  readonly signal: AbortSignal;
  /** Its time is over in `ms` from now. */
  arm(ms: number): void;
  stop(): void;
  /** Nobody wants it any more, whatever is left of it. */
  end(): void;
}

/** `isOver` is told when the time is. */
export function createFuse(
  { timer }: Pick<Platform, 'timer'>,
  outer?: AbortSignal,
  isOver: () => void = () => {},
): Fuse {
  const abort = new AbortController();
  const leave = (): void => abort.abort(outer?.reason);
  let stop = (): void => {};
  outer?.addEventListener('abort', leave);
  return {
    signal: abort.signal,
    arm(ms) {
      stop();
      stop = timer(ms, () => {
        isOver();
        abort.abort(new TimeoutError(`Nothing came for ${ms} ms.`));
      });
    },
    stop: () => stop(),
    end() {
      stop();
      outer?.removeEventListener('abort', leave);
      abort.abort();
    },
  };
}
