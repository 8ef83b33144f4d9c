import { WireError } from '@continuo/protocol';
import type { Report } from '../ports.ts';
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

/** What a hook answers, checked: throws `forbidden` where it refused, `internal` where it failed. */
export async function askHook<T extends object>(
  ask: () => HookAnswer<T>,
  { name, refused, report }: { readonly name: string; readonly refused: string; readonly report: Report },
): Promise<Partial<T>> {
  let answer: T | boolean | undefined;
  try {
    answer = await ask();
  } catch (error) {
    if (error instanceof WireError) throw error;
    report(`the hook ${name}`, error);
    throw new WireError('internal', 'Something went wrong here. It was noted; try again.', { cause: error });
  }
  if (answer === false) throw new WireError('forbidden', refused);
  return typeof answer === 'object' && answer !== null ? answer : {};
}
