import { MAX_PAYLOAD } from '@continuo/protocol';
import { createSeededRandom } from '@continuo/testing';
import { describe, expect, it } from 'vitest';
import { type ChannelWorld, createChannelWorld } from '../../test/channel-world.ts';
import { range } from '../../test/pick.ts';
import { entryOf } from '../../test/reading.ts';
import { dial, type TestSocket } from '../../test/socket.ts';
import { createAuthenticate } from '../auth/authenticate.ts';
import { createDeadLetters, type DeadLetters } from '../core/dead-letters.ts';
import { NO_LIMITS } from '../limits.ts';
import { createChannelRows } from './channel-rows.ts';
import type { Pusher } from './pusher.ts';
import { createSocketDoor, type SocketProtocol } from './socket.ts';

/** A socket that speaks of channels alone: `enabled`, and who presents which token. */

const TOKENS = [
  { token: 'ann', subject: 'ann', scopes: ['read', 'publish'] as const },
  { token: 'bob', subject: 'bob', scopes: ['read'] as const },
  { token: 'root', subject: 'root' },
  { token: 'sports', subject: 'sports', channels: ['sport*'] },
  { token: 'writer', subject: 'writer', scopes: ['publish'] as const },
];

interface World extends ChannelWorld {
  readonly deadLetters: DeadLetters;
  readonly reopened: number[];
  socket(token?: string): TestSocket;
  bury(owner: string, offset: number, data?: unknown): Promise<void>;
}

function createWorld({ enabled = true, required = true } = {}): World {
  const world = createChannelWorld();
  const { clock, counted, journal, channels } = world;
  const random = createSeededRandom(7);
  const report = (problem: string): void => void world.problems.push(problem);
  const reopened: number[] = [];
  const deadLetters = createDeadLetters({
    logs: counted.store.logs,
    journal,
    clock,
    random,
    report,
    async reopen(_key, _log, { offset }) {
      reopened.push(offset);
      return offset < 100;
    },
  });
  const protocol: SocketProtocol<Pusher> = {
    path: '/ws',
    rows: createChannelRows({ channels, deadLetters }),
    open: (connection) => ({
      connection,
      clientId: 'device',
      temporary: false,
      capabilities: new Set(),
      enabled,
      principal: null,
      subscriptions: new Map(),
      presence: null,
      watches: new Map(),
      closed: false,
    }),
    closed() {},
  };
  const authenticate = createAuthenticate({ tokens: required ? TOKENS : [], clock, report });
  const sockets = createSocketDoor({
    protocols: [protocol],
    authenticate,
    limits: NO_LIMITS,
    clock,
    random,
    report,
  });
  return {
    ...world,
    deadLetters,
    reopened,
    socket: (token) => dial({ sockets }, clock, { path: '/ws', credential: token }),
    bury: (owner, offset, data = null) =>
      deadLetters.bury({
        channel: 'news',
        entry: entryOf(offset, { log: 'channel:news', source: `${owner}/device`, data }),
        owner,
        clientId: 'device',
        consumerKey: `consumer/${owner}/device/news`,
        attempts: 4,
        reason: 'retries',
        handedAt: 1_000,
      }),
  };
}

const FRAMES = [
  { type: 'channel.create', channel: 'news' },
  { type: 'channel.list' },
  { type: 'channel.history', channel: 'news' },
  { type: 'channel.dead_letters', channel: 'news' },
  { type: 'channel.redrive', channel: 'news' },
];

describe('the frames about channels', () => {
  it.each(FRAMES)('P-1 are told that push is off: $type', async (frame) => {
    const world = createWorld({ enabled: false, required: false });
    const client = world.socket();
    await client.send({ ...frame, request_id: 5 });
    expect(client.last('error')).toMatchObject({ code: 'push_disabled', request_id: 5 });
    expect(client.closed).toBeNull();
  });

  it.each(FRAMES)('L-15 need a right token: $type', async (frame) => {
    const client = createWorld().socket('guess');
    await client.send(frame);
    expect(client.last('error').code).toBe('unauthorized');
    expect(client.closed).toEqual({ code: 4401, reason: 'unauthorized' });
  });

  it.each([
    ['channel.create', 'bob'],
    ['channel.create', 'sports'],
    ['channel.history', 'writer'],
    ['channel.history', 'sports'],
    ['channel.dead_letters', 'writer'],
    ['channel.dead_letters', 'sports'],
    ['channel.redrive', 'writer'],
    ['channel.redrive', 'sports'],
  ])('L-10 need what they ask for: %s of %s', async (type, token) => {
    const world = createWorld();
    await world.bury('sports', 1);
    const client = world.socket(token);
    await client.send({ type, channel: 'news' });
    expect(client.last('error').code).toBe('forbidden');
    expect(world.reopened).toEqual([]);
  });

  it('P-27 make a channel, and say whether it was there', async () => {
    const world = createWorld();
    const client = world.socket('ann');
    const create = { type: 'channel.create', channel: 'news', metadata: { title: 'News' }, request_id: 'a' };
    await client.send(create);
    const created = { type: 'channel.created', channel: 'news', request_id: 'a' };
    expect(client.last('channel.created')).toEqual({ ...created, ok: true });
    await client.send(create);
    expect(client.last('channel.created')).toEqual({ ...created, ok: false });
    expect((await world.store.records.get('channel/news'))?.value).toMatchObject({
      metadata: { title: 'News' },
    });
  });

  it('L-10 name the channels that their asker may read', async () => {
    const world = createWorld();
    for (const name of ['sport/b', 'sport/a', 'news']) await world.channels.open(name);
    const [ann, sports, writer] = ['ann', 'sports', 'writer'].map((token) => world.socket(token));
    await ann?.send({ type: 'channel.list', request_id: 1, limit: 2 });
    expect(ann?.last('channel.list')).toEqual({
      type: 'channel.list',
      channels: ['news', 'sport/a'],
      more: true,
      request_id: 1,
    });
    await sports?.send({ type: 'channel.list', after: 'sport/a' });
    expect(sports?.last('channel.list')).toEqual({
      type: 'channel.list',
      channels: ['sport/b'],
      more: false,
    });
    await writer?.send({ type: 'channel.list' });
    expect(writer?.last('channel.list').channels).toEqual([]);
  });

  it('P-29 give the history of a channel, page by page', async () => {
    const world = createWorld();
    await world.publish('news', 5);
    const client = world.socket('bob');
    await client.send({ type: 'channel.history', channel: 'news', limit: 2, request_id: 1 });
    const first = client.last('channel.history');
    expect(first).toMatchObject({
      channel: 'news',
      cursor: 2,
      more: true,
      oldest_cursor: 1,
      recovered: true,
      request_id: 1,
    });
    expect(first.messages.map(({ sequence }) => sequence)).toEqual([1, 2]);
    const { cursor: since, epoch } = first;
    await client.send({ type: 'channel.history', channel: 'news', since, epoch });
    const rest = client.last('channel.history');
    expect(rest.messages.map(({ sequence }) => sequence)).toEqual([3, 4, 5]);
    await client.send({ type: 'channel.history', channel: 'news', since, epoch: 'lost' });
    expect(client.last('channel.history').recovered).toBe(false);
  });

  it('L-12 fit a frame, also with the largest message', async () => {
    const world = createWorld();
    await world.publish('news', 1, 'x'.repeat(MAX_PAYLOAD - 8 * 1024 - 2));
    const client = world.socket('bob');
    await client.send({ type: 'channel.history', channel: 'news', request_id: 'x'.repeat(200) });
    expect(client.last('channel.history').messages).toHaveLength(1);
  });

  it('L-10 list the dead letters of their own consumers, or all for the scope admin', async () => {
    const world = createWorld();
    await world.bury('ann', 1);
    await world.bury('bob', 2, { text: 'hello' });
    const listed = async (token: string): Promise<number[]> => {
      const client = world.socket(token);
      await client.send({ type: 'channel.dead_letters', channel: 'news' });
      return client.last('channel.dead_letters').messages.map(({ sequence }) => sequence);
    };
    expect(await listed('ann')).toEqual([1]);
    expect(await listed('bob')).toEqual([2]);
    expect(await listed('root')).toEqual([1, 2]);
    const client = world.socket('bob');
    await client.send({ type: 'channel.dead_letters', channel: 'news', request_id: 3 });
    const { messages, request_id } = client.last('channel.dead_letters');
    expect(request_id).toBe(3);
    expect(messages).toMatchObject([{ data: { text: 'hello' }, client_id: 'device', reason: 'retries' }]);
    expect(client.texts.join()).not.toMatch(/owner|consumer_key|consumer\//);
  });

  it('L-10 redrive what their asker may see, and say how many', async () => {
    const world = createWorld();
    for (const offset of range(1, 3)) await world.bury('ann', offset);
    await world.bury('ann', 100); // the channel has it no more
    await world.bury('bob', 4);
    const ann = world.socket('ann');
    const redrive = { type: 'channel.redrive', channel: 'news', request_id: 1 };
    await ann.send({ ...redrive, event_ids: ['e2', 'e4'] });
    expect(ann.last('channel.redrive')).toEqual({ ...redrive, count: 1 });
    await ann.send(redrive);
    expect(ann.last('channel.redrive').count).toBe(2);
    await ann.send({ type: 'channel.dead_letters', channel: 'news' });
    expect(ann.last('channel.dead_letters').messages.map(({ sequence }) => sequence)).toEqual([100]);
    const root = world.socket('root');
    await root.send(redrive);
    expect(root.last('channel.redrive').count).toBe(1);
    expect(world.reopened).toEqual([2, 1, 3, 100, 100, 4]);
  });

  it.each([
    [{ type: 'channel.create', channel: 'a b' }, 'channel.create: "channel" must be 1 to 255'],
    [{ type: 'channel.history', channel: 'news', limit: 0 }, 'channel.history: "limit"'],
    [{ type: 'channel.history', channel: 'news', since: -1 }, 'channel.history: "since"'],
    [{ type: 'channel.dead_letters' }, 'channel.dead_letters: "channel"'],
    [{ type: 'channel.redrive', channel: 'news', event_ids: 'e1' }, 'channel.redrive: "event_ids"'],
    [{ type: 'channel.list', limit: 'all' }, 'channel.list: "limit"'],
  ])('L-12 are refused with a sentence that names the field: %j', async (frame, sentence) => {
    const client = createWorld().socket('root');
    await client.send(frame);
    const { code, message } = client.last('error');
    expect(code).toBe('bad_request');
    expect(message).toContain(sentence);
  });

  it('take no more metadata than is kept', async () => {
    const client = createWorld().socket('ann');
    await client.send({ type: 'channel.create', channel: 'news', metadata: { text: 'x'.repeat(5_000) } });
    expect(client.last('error')).toMatchObject({
      code: 'too_large',
      message: 'The metadata of a channel has at most 4096 bytes.',
    });
  });
});
