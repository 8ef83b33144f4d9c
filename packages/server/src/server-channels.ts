import { ChannelName, type DeadLetter, type StoredMessage, WireError } from '@continuo/protocol';
import type { ChannelNames, Channels, Published } from './core/channels.ts';
import type { DeadLetters } from './core/dead-letters.ts';
import { sourceOf } from './core/message.ts';
import type { ChannelPage, PageQuery } from './core/page.ts';

/** Channels for the program that the gateway runs in. It may do everything: no token is asked for, no hook called. */
export interface ServerChannels {
  /** Stored when it resolves; `source` is `null` on the wire unless it is given. The same `eventId` again stores nothing. */
  publish(
    channel: string,
    data: unknown,
    options?: { readonly eventId?: string; readonly source?: string },
  ): Promise<Published>;
  /** Messages after `since` (default: the oldest that is kept), at most `limit` (100, up to 1,000) and 512 KiB. */
  history(channel: string, page?: PageQuery): Promise<ChannelPage<StoredMessage>>;
  /** What consumers could not handle, of all owners. */
  deadLetters(channel: string, page?: PageQuery): Promise<ChannelPage<DeadLetter>>;
  /** Has dead letters delivered again: all, or those with these event ids. How many are. */
  redrive(channel: string, which?: { readonly eventIds?: readonly string[] }): Promise<number>;
  /** At most 1,000 names, in their order, after `after`. */
  list(page?: { readonly after?: string; readonly limit?: number }): Promise<ChannelNames>;
}

/** Every method rejects with a sentence for what makes no sense, with `push_disabled` where push is off. */
export function createServerChannels(options: {
  readonly channels: Channels;
  readonly deadLetters: DeadLetters;
  readonly enabled: boolean;
}): ServerChannels {
  const { channels, deadLetters, enabled } = options;

  function checkEnabled(): void {
    if (enabled) return;
    throw new WireError(
      'push_disabled',
      'Channels are switched off here. Create the gateway with push: true.',
    );
  }

  function check(channel: string): void {
    checkEnabled();
    if (ChannelName.safeParse(channel).success) return;
    throw new TypeError(
      `The channel is ${JSON.stringify(channel)}: it must be 1 to 255 of letters, digits and . _ : / -.`,
    );
  }

  function checkPage(page: PageQuery): PageQuery {
    const { since, limit } = page;
    for (const [name, value, least] of [
      ['since', since, 0],
      ['limit', limit, 1],
    ] as const) {
      if (value === undefined || (Number.isInteger(value) && value >= least)) continue;
      throw new RangeError(`"${name}" is ${value}: it must be a whole number, ${least} or more.`);
    }
    return page;
  }

  return {
    async publish(channel, data, { eventId, source } = {}) {
      check(channel);
      if (JSON.stringify(data) === undefined)
        throw new TypeError('The data must be JSON: use null for none.');
      return channels.publish(channel, {
        data,
        eventId,
        ...(source !== undefined && { source: sourceOf('', source) }), // of no owner: no client has it
      });
    },
    async history(channel, page = {}) {
      check(channel);
      return channels.history(channel, checkPage(page));
    },
    async deadLetters(channel, page = {}) {
      check(channel);
      return deadLetters.list(channel, checkPage(page), { all: true });
    },
    async redrive(channel, { eventIds } = {}) {
      check(channel);
      return deadLetters.redrive(channel, eventIds, { all: true });
    },
    async list(page = {}) {
      checkEnabled();
      checkPage(page);
      return channels.list({ ...page, mayRead: () => true });
    },
  };
}
