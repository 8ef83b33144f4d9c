import type { ChannelResetFrame } from '@continuo/protocol';
import { ruleOfCode } from '../connection/retry.ts';
import { ConnectionError, GatewayError } from '../errors.ts';
import type { Link } from '../link.ts';
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
  since: number | undefined;
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

export function createSubscriptions(
  link: Pick<Link, 'status' | 'platform' | 'report'>,
  /** Rejects with a `ConnectionError` when the connection breaks before the answer. */
  ask: (frame: object) => Promise<PushFrame>,
  /** The gateway does not renew what it had. */
  onLost: (channel: string, error: Error) => void,
): Subscriptions {
  const isConnected = (): boolean => link.status === 'connected';
  const all = new Map<string, Subscription>();
  /** Given up, and not known to be so at the gateway. */
  const left = new Set<string>();

  function post(channel: string, subscription: Subscription): void {
    const { since, epoch, options } = subscription;
    const { delivery, echo } = options;
    const isCurrent = (): boolean => all.get(channel) === subscription;
    ask({ type: 'channel.subscribe', channel, since, epoch, delivery, echo }).then(
      (answer) => {
        if (!isCurrent()) return;
        const { cursor, epoch: now } = answer;
        if (typeof cursor === 'number' && (subscription.since === undefined || now !== subscription.epoch))
          subscription.since = cursor;
        if (typeof now === 'string') subscription.epoch = now;
        subscription.isReady = true;
        subscription.ready.resolve();
      },
      (error: unknown) => {
        if (!isCurrent() || !isConnected() || error instanceof ConnectionError) return; // the next connection asks
        const isPassing = error instanceof GatewayError && ruleOfCode(error.code) === 'after';
        if (subscription.isReady && isPassing)
          return void link.platform.timer(RETRY_MS, () => {
            if (isCurrent() && isConnected()) post(channel, subscription);
          });
        all.delete(channel);
        if (subscription.isReady) onLost(channel, error as Error);
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
      const ready = known && !known.isReady ? known.ready : Promise.withResolvers<void>();
      ready.promise.catch(() => {}); // whoever subscribed is told
      const options = wanted ?? {};
      const subscription = { options, ready, isReady: false, since: options.since, epoch: options.epoch };
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
      if (subscription) subscription.since = Math.max(subscription.since ?? 0, sequence);
    },
    reset({ channel, to, epoch }) {
      const subscription = all.get(channel);
      if (subscription) Object.assign(subscription, { since: to, epoch });
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
