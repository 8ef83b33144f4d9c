import { WireError } from '@continuo/protocol';
import type { Clock, Report } from '../ports.ts';
import type { Principal } from './access.ts';

/** What the host program says about publishing and subscribing: it may refuse, and change what is asked. */

/** `undefined` or true: as it is. False: refused with `forbidden`. A thrown `WireError` is told as it is. */
export type HookAnswer<T> = T | boolean | undefined | Promise<T | boolean | undefined>;

export interface PublishEvent {
  readonly channel: string;
  readonly data: unknown;
  readonly eventId: string;
  /** `null`: published over HTTP, without a client. */
  readonly clientId: string | null;
  readonly principal: Principal;
}

export interface SubscribeEvent {
  readonly channel: string;
  /** `null`: there is none. */
  readonly clientId: string | null;
  readonly principal: Principal;
  readonly delivery: boolean;
  readonly echo: boolean;
  /** The first message is the one after it; `undefined`: where its consumer stands, or at the head. */
  readonly since: number | undefined;
}

/** Called before a message is stored. `data` takes the place of what was sent. */
export type OnPublish = (event: PublishEvent) => HookAnswer<{ readonly data?: unknown }>;
/** Called before somebody is subscribed. What it answers takes the place of what was asked. */
export type OnSubscribe = (
  event: SubscribeEvent,
) => HookAnswer<{ readonly delivery?: boolean; readonly echo?: boolean; readonly since?: number }>;

export interface ChannelHooks {
  readonly onPublish?: OnPublish | undefined;
  readonly onSubscribe?: OnSubscribe | undefined;
}

/** How long a hook may take, in ms: whoever asked waits for it. */
const HOOK_MS = 10_000;

export interface AskHookOptions {
  readonly name: string;
  /** What is said to whom it refused. */
  readonly refused: string;
  readonly clock: Clock;
  readonly report: Report;
}

/**
 * What a hook answers, checked: throws `forbidden` where it refused, `unavailable` where it took too long, `internal` where
 * it failed, or answered what is none of its answers.
 */
export async function askHook<T extends object>(
  ask: () => HookAnswer<T>,
  { name, refused, clock, report }: AskHookOptions,
): Promise<Partial<T>> {
  const failed = (cause: unknown): WireError => {
    report(`the hook ${name}`, cause);
    return new WireError('internal', 'Something went wrong here. It was noted; try again.', { cause });
  };
  let answer: T | boolean | undefined;
  const late = Promise.withResolvers<never>();
  const stopTimer = clock.schedule(clock.now() + HOOK_MS, () => {
    report(`the hook ${name}`, new Error(`it has not answered for ${HOOK_MS} ms`));
    late.reject(new WireError('unavailable', 'The server did not decide in time. Try again.'));
  });
  try {
    answer = await Promise.race([ask(), late.promise]);
  } catch (error) {
    throw error instanceof WireError ? error : failed(error);
  } finally {
    stopTimer();
  }
  if (answer === false) throw new WireError('forbidden', refused);
  if (answer === undefined || answer === true) return {};
  if (typeof answer === 'object' && answer !== null) return answer;
  throw failed(
    new TypeError(`it answered ${String(answer)}: true, false, an object or nothing can be answered`),
  );
}
