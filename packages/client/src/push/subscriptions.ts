import type { ChannelResetFrame } from '@continuo/protocol';
import { ruleOfCode } from '../connection/retry.ts';
import { ConnectionError, GatewayError } from '../errors.ts';
import type { PushFrame } from '../transports/transport.ts';

/** When a subscription that the server could not renew is asked for again, in ms. */
const RETRY_MS = 2_000;

export interface SubscribeOptions {
  /** Where a consumer that is new begins, or one without delivery goes on: after this sequence. Default: the newest. */
  readonly since?: number;
  /** Of `since`. */
  readonly epoch?: string;
  /** At least once, with acks (default), or at most once. */
  readonly delivery?: boolean;
  /** Whether own messages come back. Default false. */
  readonly echo?: boolean;
}

interface Subscription {
  readonly options: SubscribeOptions;
  readonly ready: PromiseWithResolvers<void>;
  isReady: boolean;
  /** The last position that was seen; without an epoch where the transport does not tell it. */
  offset: number | undefined;
  epoch: string | undefined;
}

/** The channels of a client, over all its connections. */
export interface Subscriptions {
  has(channel: string): boolean;
  /** Whether what comes of the channel is of a subscription that was given up. */
  isLeft(channel: string): boolean;
  isAcked(channel: string): boolean;
  /** Resolves when the gateway has it, rejects when it refuses. Without options a known one stays as it is. */
  open(channel: string, options?: SubscribeOptions): Promise<void>;
  /** Resolves when the gateway has let it go, or cannot be asked now: then it is told with the next connection. */
  close(channel: string): Promise<void>;
  saw(channel: string, sequence: number): void;
  reset(frame: ChannelResetFrame): void;
  /** There is a new connection: all of them again, in one go. */
  renew(): void;
  /** Rejects those that were never had. */
  end(error: Error): void;
}

export function createSubscriptions(options: {
  /** Rejects with a `ConnectionError` when the connection breaks before the answer. */
  ask(frame: PushFrame): Promise<PushFrame>;
  isConnected(): boolean;
  timer(ms: number, run: () => void): void;
  report(error: unknown): void;
}): Subscriptions {
  const { ask, isConnected, timer, report } = options;
  const all = new Map<string, Subscription>();
  /** Given up, and not known to be so at the gateway. */
  const left = new Set<string>();

  function post(channel: string, subscription: Subscription): void {
    const { delivery, echo, since, epoch } = subscription.options;
    const at =
      subscription.offset === undefined
        ? { since, epoch }
        : { since: subscription.offset, epoch: subscription.epoch };
    const isCurrent = (): boolean => all.get(channel) === subscription;
    ask({ type: 'channel.subscribe', channel, ...at, delivery, echo }).then(
      (answer) => {
        if (!isCurrent()) return;
        const { cursor, epoch: now } = answer;
        if (typeof cursor === 'number' && (subscription.offset === undefined || now !== subscription.epoch))
          subscription.offset = cursor;
        if (typeof now === 'string') subscription.epoch = now;
        subscription.isReady = true;
        subscription.ready.resolve();
      },
      (error: unknown) => {
        if (!isCurrent() || !isConnected() || error instanceof ConnectionError) return; // the next connection asks
        const isPassing = error instanceof GatewayError && ruleOfCode(error.code) === 'after';
        if (subscription.isReady && isPassing)
          return timer(RETRY_MS, () => {
            if (isCurrent() && isConnected()) post(channel, subscription);
          });
        all.delete(channel);
        if (subscription.isReady) report(error);
        else subscription.ready.reject(error);
      },
    );
  }

  function leave(channel: string): Promise<unknown> {
    return ask({ type: 'channel.unsubscribe', channel }).then(() => left.delete(channel));
  }

  return {
    has: (channel) => all.has(channel),
    isLeft: (channel) => left.has(channel),
    isAcked: (channel) => all.get(channel)?.options.delivery !== false,
    open(channel, wanted) {
      const known = all.get(channel);
      if (known && !wanted) return known.ready.promise;
      const ready = Promise.withResolvers<void>();
      ready.promise.catch(() => {}); // whoever subscribed is told
      known?.ready.promise.catch(() => {});
      known?.ready.resolve(ready.promise);
      const subscription: Subscription = {
        options: wanted ?? {},
        ready,
        isReady: false,
        offset: undefined,
        epoch: undefined,
      };
      all.set(channel, subscription);
      left.delete(channel);
      if (isConnected()) post(channel, subscription);
      return ready.promise;
    },
    async close(channel) {
      const known = all.get(channel);
      if (!known) return;
      all.delete(channel);
      known.ready.reject(new ConnectionError(`unsubscribe("${channel}") was called.`));
      left.add(channel);
      if (isConnected())
        await leave(channel).catch((error: unknown) => {
          if (!(error instanceof ConnectionError)) throw error;
        });
    },
    saw(channel, sequence) {
      const subscription = all.get(channel);
      if (subscription) subscription.offset = Math.max(subscription.offset ?? 0, sequence);
    },
    reset({ channel, to, epoch }) {
      const subscription = all.get(channel);
      if (subscription) Object.assign(subscription, { offset: to, epoch });
    },
    renew() {
      for (const channel of left) leave(channel).catch(() => {});
      for (const [channel, subscription] of all) post(channel, subscription);
    },
    end(error) {
      for (const [channel, { isReady, ready }] of all) {
        if (isReady) continue;
        all.delete(channel);
        ready.reject(error);
      }
    },
  };
}
