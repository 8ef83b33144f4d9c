import {
  CreateChannelFrame,
  DeadLettersFrame,
  HistoryFrame,
  ListChannelsFrame,
  RedriveFrame,
} from '@continuo/protocol';
import { demand, may, type Principal } from '../core/access.ts';
import type { Channels } from '../core/channels.ts';
import type { DeadLetters, Whose } from '../core/dead-letters.ts';
import { answer, type Pusher, principalOf } from './pusher.ts';
import type { Row } from './socket.ts';

/** Door 2's frames about channels themselves: what there is, what was said, what could not be handled. */

export interface ChannelRowsOptions {
  readonly channels: Channels;
  readonly deadLetters: DeadLetters;
}

export function createChannelRows(options: ChannelRowsOptions): Readonly<Record<string, Row<Pusher>>> {
  const { channels, deadLetters } = options;

  async function create(pusher: Pusher, frame: CreateChannelFrame): Promise<void> {
    const { channel, metadata } = frame;
    demand(await principalOf(pusher), 'publish', 'channels', channel);
    const ok = await channels.create(channel, metadata);
    answer(pusher, frame, { type: 'channel.created', channel, ok });
  }

  async function list(pusher: Pusher, frame: ListChannelsFrame): Promise<void> {
    const { after, limit } = frame;
    const principal = await principalOf(pusher);
    const mayRead = (name: string): boolean => may(principal, 'read', 'channels', name);
    const { names, more } = await channels.list({ after, limit, mayRead });
    answer(pusher, frame, { type: 'channel.list', channels: [...names], more });
  }

  async function history(pusher: Pusher, frame: HistoryFrame): Promise<void> {
    const { channel, since, epoch, limit } = frame;
    demand(await principalOf(pusher), 'read', 'channels', channel);
    const page = await channels.history(channel, { since, epoch, limit });
    const messages = [...page.messages];
    answer(pusher, frame, { ...page, type: 'channel.history', channel, messages });
  }

  async function listDead(pusher: Pusher, frame: DeadLettersFrame): Promise<void> {
    const { channel, since, epoch, limit } = frame;
    const principal = await principalOf(pusher);
    demand(principal, 'read', 'channels', channel);
    const page = await deadLetters.list(channel, { since, epoch, limit }, whoseOf(principal));
    const messages = [...page.messages];
    answer(pusher, frame, { ...page, type: 'channel.dead_letters', channel, messages });
  }

  async function redrive(pusher: Pusher, frame: RedriveFrame): Promise<void> {
    const { channel, event_ids: eventIds } = frame;
    const principal = await principalOf(pusher);
    demand(principal, 'read', 'channels', channel);
    const count = await deadLetters.redrive(channel, eventIds, whoseOf(principal));
    answer(pusher, frame, { type: 'channel.redrive', channel, count });
  }

  return {
    'channel.create': { schema: CreateChannelFrame, handle: create },
    'channel.list': { schema: ListChannelsFrame, handle: list },
    'channel.history': { schema: HistoryFrame, handle: history },
    'channel.dead_letters': { schema: DeadLettersFrame, handle: listDead },
    'channel.redrive': { schema: RedriveFrame, handle: redrive },
  };
}

/** Another owner's consumers are seen with the scope `admin` alone. */
function whoseOf({ scopes, user }: Principal): Whose {
  return scopes.has('admin') ? { all: true } : { owner: user };
}
