import { describe, expect, it } from 'vitest';
import type { SocketPath } from '../../test/frames.ts';
import { ALICE, openGateway, TWO_PEOPLE } from '../../test/gateway.ts';
import { interceptStore } from '../../test/intercept.ts';
import { nth, only, range } from '../../test/pick.ts';
import { LIMITS } from '../limits.ts';
import { StoreError } from '../ports.ts';

const PATHS: readonly SocketPath[] = ['/', '/ws'];

function nested(levels: number): string {
  return '['.repeat(levels) + ']'.repeat(levels);
}

describe.each(PATHS)('frames on %s', (path) => {
  it.each([
    ['that is no JSON', 'hello', 'bad_frame'],
    ['that is half of one', '{"type":"ping"', 'bad_frame'],
    ['that is empty', '', 'bad_frame'],
    ['that is an array', '[{"type":"ping"}]', 'bad_frame'],
    ['that is a text', '"ping"', 'bad_frame'],
    ['that is nothing', 'null', 'bad_frame'],
    ['that has no type', '{"agent_id":"echo"}', 'bad_frame'],
    ['whose type is no text', '{"type":7}', 'bad_frame'],
    ['of an unknown type', '{"type":"dance"}', 'unknown_type'],
    ['of a type that every object has', '{"type":"constructor"}', 'unknown_type'],
    ['of a type that is no type', '{"type":"__proto__"}', 'unknown_type'],
    ['that nobody could walk through', `{"type":"ping","x":${nested(50_000)}}`, 'bad_frame'],
    ['of one level too many', `{"type":"ping","x":${nested(100)}}`, 'bad_frame'],
    ['whose request_id is a thing', `{"type":"ping","request_id":${nested(2)}}`, 'bad_frame'],
    ['whose request_id is long', `{"type":"ping","request_id":"${'x'.repeat(201)}"}`, 'bad_frame'],
  ])('L-12 a frame %s gets an error, and the connection stays', async (_what, text, code) => {
    const { socket } = openGateway();
    const client = await socket(path);
    client.take();
    await client.send(text);
    expect(only(client.take())).toMatchObject({
      type: 'error',
      code,
      message: expect.stringMatching(/\w{3}/),
    });
    await client.send({ type: 'ping' });
    expect(client.take()).toEqual([{ type: 'pong' }]);
    expect(client.closed).toBeNull();
  });

  it.each([
    ['binary', 'bad_frame'],
    ['too_large', 'too_large'],
  ] as const)('L-12 a frame that the edge does not read gets an error: %s', async (why, code) => {
    const { socket } = openGateway();
    const client = await socket(path);
    client.take();
    await client.reject(why);
    expect(only(client.take())).toMatchObject({ type: 'error', code });
    await client.send({ type: 'ping' });
    expect(client.take()).toEqual([{ type: 'pong' }]);
  });

  it('L-12 brackets within a text are no levels', async () => {
    const { socket } = openGateway();
    const client = await socket(path);
    client.take();
    await client.send({ type: 'ping', x: `"\\"${'[{'.repeat(500)}`, y: [[[]]] });
    expect(client.take()).toEqual([{ type: 'pong' }]);
  });

  it('L-12 unknown fields are ignored', async () => {
    const { socket } = openGateway();
    const client = await socket(path);
    await client.send({ type: 'ping', mood: 'good', nested: { deep: [1] } });
    expect(client.last('pong')).toEqual({ type: 'pong' });
  });

  it('L-12 a long unknown type is not sent back in full', async () => {
    const { socket } = openGateway();
    const client = await socket(path);
    await client.send({ type: 'x'.repeat(100_000) });
    expect(client.last('error').message.length).toBeLessThan(200);
  });
});

it.each<[SocketPath, string, SocketPath]>([
  ['/ws', 'join', '/'],
  ['/ws', 'hello', '/'],
  ['/ws', 'message', '/'],
  ['/', 'auth', '/ws'],
  ['/', 'channel.subscribe', '/ws'],
  ['/', 'channel.unsubscribe', '/ws'],
  ['/', 'channel.publish', '/ws'],
  ['/', 'message_ack', '/ws'],
])('L-12 on %s the type "%s" is at the wrong door, and is told the right one', async (path, type, right) => {
  const { socket } = openGateway();
  const client = await socket(path);
  await client.send({ type });
  const { code, message } = client.last('error');
  expect(code).toBe('wrong_door');
  expect(message).toContain(`spoken on ${right},`);
  expect(client.closed).toBeNull();
});

it.each<[SocketPath, object, string]>([
  ['/', { type: 'join' }, 'agent_id'],
  ['/', { type: 'join', agent_id: 'echo', since: -1 }, 'since'],
  ['/', { type: 'join', agent_id: 'echo', since: 1.5 }, 'since'],
  ['/', { type: 'join', agent_id: 'echo', client_id: 'a\u0000b' }, 'client_id'],
  ['/', { type: 'hello', agent_id: 7 }, 'agent_id'],
  ['/', { type: 'message' }, 'content'],
  ['/', { type: 'message', content: '' }, 'content'],
  ['/', { type: 'message', content: 7 }, 'content'],
  ['/', { type: 'message', content: 'x', message_id: '' }, 'message_id'],
  ['/', { type: 'message', content: 'x', message_id: '\ud800' }, 'message_id'],
  ['/', { type: 'message', content: 'x', message_id: 'x'.repeat(201) }, 'message_id'],
  ['/ws', { type: 'auth', client_id: '' }, 'client_id'],
  ['/ws', { type: 'channel.subscribe' }, 'channel'],
  ['/ws', { type: 'channel.subscribe', channel: 'a', since: 'x' }, 'since'],
  ['/ws', { type: 'channel.publish', channel: 'a' }, 'data'],
  ['/ws', { type: 'channel.publish', channel: 'a', data: 1, event_id: '' }, 'event_id'],
  ['/ws', { type: 'message_ack' }, 'event_id'],
])('L-12 on %s the frame %j names the field that is wrong', async (path, frame, field) => {
  const { socket } = openGateway();
  const client = await socket(path);
  await client.send(frame);
  const { code, message } = client.last('error');
  expect(code).toBe('bad_request');
  expect(message).toContain(`"${field}"`);
  expect(client.closed).toBeNull();
});

describe('the id of a request', () => {
  it.each<[SocketPath, object, string]>([
    ['/ws', { type: 'ping' }, 'pong'],
    ['/ws', { type: 'auth', client_id: 'me' }, 'authenticated'],
    ['/ws', { type: 'channel.subscribe', channel: 'news' }, 'channel.subscribed'],
    ['/ws', { type: 'channel.unsubscribe', channel: 'news' }, 'channel.unsubscribed'],
    ['/ws', { type: 'channel.publish', channel: 'news', data: 1 }, 'channel.published'],
    ['/ws', { type: 'message_ack', event_id: 'e1' }, 'ack_received'],
    ['/', { type: 'ping' }, 'pong'],
    ['/', { type: 'join', agent_id: 'echo' }, 'joined'],
    ['/', { type: 'hello', agent_id: 'echo' }, 'hello_ok'],
  ])('L-11 on %s is repeated in the answer to %j', async (path, frame, answer) => {
    const { socket } = openGateway();
    const client = await socket(path);
    await client.send({ ...frame, request_id: 'r-7' });
    expect(answerOf(client.texts, answer)).toMatchObject({ request_id: 'r-7' });
  });

  it('L-11 on / is repeated in the answer to a message', async () => {
    const { join } = openGateway();
    const client = await join();
    await client.send({ type: 'message', content: 'hi', request_id: 7 });
    expect(answerOf(client.texts, 'response')).toMatchObject({ request_id: 7 });
  });

  it.each<[SocketPath, object, string]>([
    ['/ws', { type: 'dance' }, 'unknown_type'],
    ['/ws', { type: 'join' }, 'wrong_door'],
    ['/ws', { type: 'channel.subscribe', channel: '' }, 'bad_request'],
    ['/', { type: 'message', content: 'before joining' }, 'bad_request'],
    ['/', { type: 'join', agent_id: 'nobody' }, 'agent_not_found'],
    ['/', { type: 'join', agent_id: 'echo', min_version: 2, max_version: 3 }, 'version_unsupported'],
  ])('L-11 on %s is repeated in the error to %j', async (path, frame, code) => {
    const { socket } = openGateway();
    const client = await socket(path);
    await client.send({ ...frame, request_id: 7 });
    expect(client.last('error')).toMatchObject({ code, request_id: 7 });
  });

  it('L-11 is not made up where there was none', async () => {
    const { socket } = openGateway();
    const client = await socket('/ws');
    await client.send({ type: 'dance' });
    await client.send({ type: 'channel.publish', channel: 'news', data: 1 });
    for (const frame of client.frames) expect(frame).not.toHaveProperty('request_id');
  });
});

function answerOf(texts: readonly string[], type: string): unknown {
  return texts.map((text) => JSON.parse(text) as { type: string }).find((frame) => frame.type === type);
}

describe('the time until the first frame', () => {
  it('G-1 is silent on /: the server does not speak first', async () => {
    const { socket, clock } = openGateway();
    const client = await socket('/');
    await clock.advance(9_999);
    expect([client.frames, client.closed]).toEqual([[], null]);
  });

  it('G-2 is ten seconds on /', async () => {
    const { socket, clock } = openGateway();
    const client = await socket('/');
    await clock.advance(10_000);
    expect(client.closed).toEqual({ code: 4408, reason: 'handshake_timeout' });
  });

  it.each(['hello', '{"type":"dance"}', '{"type":"join"}', '{"type":"channel.publish"}'])(
    'G-2 is not made longer by a frame that is not valid: %s',
    async (text) => {
      const { socket, clock } = openGateway();
      const client = await socket('/');
      await client.send(text);
      await clock.advance(10_000);
      expect(client.closed?.code).toBe(4408);
    },
  );

  it('G-2 is over with the first valid frame', async () => {
    const { join, clock } = openGateway();
    const client = await join();
    await clock.advance(60_000);
    expect(client.closed).toBeNull();
  });

  it('G-2 is not made longer by a ping', async () => {
    const { socket, clock } = openGateway({ tokens: TWO_PEOPLE });
    const clients = [await socket('/'), await socket('/ws')];
    for (const client of clients) await client.send({ type: 'ping' });
    await clock.advance(10_000);
    expect(clients.map(({ closed }) => closed?.code)).toEqual([4408, 4408]);
  });

  it('P-1 has no end on /ws where no token is required', async () => {
    const { socket, clock } = openGateway();
    const client = await socket('/ws');
    await clock.advance(60_000);
    expect(client.closed).toBeNull();
  });

  it('L-15 is ten seconds on /ws where a token is required and was not presented', async () => {
    const { socket, clock } = openGateway({ tokens: TWO_PEOPLE });
    const [nobody, wrong, alice] = [
      await socket('/ws'),
      await socket('/ws', 'guess'),
      await socket('/ws', ALICE),
    ];
    await clock.advance(10_000);
    expect([nobody, wrong, alice].map(({ closed }) => closed?.code)).toEqual([4408, 4408, undefined]);
  });
});

describe('a client that sends more than a second may have', () => {
  it('G-24 is answered at the rate it may have, in order, and loses nothing', async () => {
    const { socket, clock } = openGateway({ limits: { framesPerSecond: 100 } });
    const client = await socket('/');
    for (const request_id of range(1, 250)) client.post({ type: 'dance', request_id });
    await clock.settle();
    expect([client.of('error').length, client.paused]).toEqual([100, true]);
    await clock.advance(999);
    expect(client.of('error')).toHaveLength(100);
    await clock.advance(1);
    expect([client.of('error').length, client.paused]).toEqual([200, true]);
    await clock.advance(1_000);
    expect(client.of('error').map(({ request_id }) => request_id)).toEqual(range(1, 250));
    expect(client.paused).toBe(false);
  });

  it('G-24 does not hold up another', async () => {
    const { socket, clock } = openGateway({ limits: { framesPerSecond: 10 } });
    const [loud, quiet] = [await socket('/'), await socket('/')];
    for (const request_id of range(1, 50)) loud.post({ type: 'dance', request_id });
    await clock.settle();
    await quiet.send({ type: 'ping' });
    expect(quiet.of('pong')).toHaveLength(1);
  });
});

describe('a client that does not read what it is answered', () => {
  it('L-5 is not read from above 2 MiB of that, and then is again', async () => {
    const { socket, clock } = openGateway();
    const client = await socket('/');
    client.peer.stall();
    const frame = { type: 'dance'.repeat(10), request_id: 'x'.repeat(200) };
    for (let count = 0; count < 20_000; count++) client.post(frame);
    await clock.settle();
    expect([client.paused, client.peer.bufferedBytes < 2.1 * 1024 * 1024]).toEqual([true, true]);
    for (let drains = 0; drains < 10; drains++) {
      client.peer.drain();
      await clock.settle();
    }
    client.peer.drain();
    await clock.settle();
    expect([client.paused, client.of('error').length]).toEqual([false, 20_000]);
  });
});

describe('a client that sends faster than the server works', () => {
  it('is not read from while a thousand of its frames wait, and then is again', async () => {
    let open = (): void => {};
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    const { socket, clock } = openGateway({
      through: (store) =>
        interceptStore(store, async (call, go) => {
          if (call.name === 'append') await opened;
          return go();
        }),
    });
    const client = await socket('/ws');
    const publish = (number: number): void =>
      client.post({ type: 'channel.publish', channel: 'news', data: number, event_id: `e${number}` });
    for (const number of range(1, 999)) publish(number);
    await clock.settle();
    expect(client.paused).toBe(false);
    publish(1_000);
    expect(client.paused).toBe(true);
    open();
    await clock.settle();
    expect(client.paused).toBe(false);
    const sequences = new Map(
      client.of('channel.published').map((frame) => [frame.event_id, frame.sequence]),
    );
    expect(range(1, 1_000).map((number) => sequences.get(`e${number}`))).toEqual(range(1, 1_000));
  });

  it('is answered in the order in which it asked, where one frame depends on another', async () => {
    const { socket, clock } = openGateway();
    const client = await socket('/');
    client.post({ type: 'join', agent_id: 'echo' });
    for (const number of range(1, 5))
      client.post({ type: 'message', content: 'hi', message_id: `m${number}` });
    client.post({ type: 'join', agent_id: 'slow' });
    await clock.settle();
    const answers = client.frames.flatMap((frame) => {
      if (frame.type === 'joined') return [frame.agent_id];
      return frame.type === 'response' ? [frame.message_id] : [];
    });
    expect(answers).toEqual(['echo', 'm1', 'm2', 'm3', 'm4', 'm5', 'slow']);
  });
});

describe('a client that sends more frames than a second takes', () => {
  it('is not read from until the next second, and none of its frames is lost', async () => {
    const { socket, clock } = openGateway({ limits: { ...LIMITS, framesPerSecond: 3 } });
    const client = await socket('/');
    await clock.advance(5_000);
    for (const request_id of range(1, 8)) client.post({ type: 'ping', request_id });
    await clock.settle();
    for (const [taken, paused] of [
      [3, true],
      [6, true],
      [8, false],
    ] as const) {
      const pongs = range(1, taken).map((request_id) => JSON.stringify({ type: 'pong', request_id }));
      expect(client.texts).toEqual(pongs);
      expect(client.paused).toBe(paused);
      await clock.advance(1_000);
    }
  });
});

describe('a client that goes away', () => {
  it.each<[SocketPath, object]>([
    ['/', { type: 'join', agent_id: 'echo' }],
    ['/ws', { type: 'channel.subscribe', channel: 'news' }],
  ])('leaves nothing of itself on %s, also in the middle of %j', async (path, frame) => {
    const watched: string[] = [];
    const { socket, clock } = openGateway({
      through: (store) =>
        interceptStore(store, (call, go) => {
          if (call.name === 'heads' && clock.now() > leftAt + 15_000) watched.push(call.key);
          return go();
        }),
    });
    let leftAt = Number.POSITIVE_INFINITY;
    const client = await socket(path);
    client.post(frame);
    await client.hangUp();
    leftAt = clock.now();
    await clock.advance(30_000);
    expect(watched).toEqual([]); // the log of a reader is looked at every second
  });

  it('is not answered any more, and nothing goes wrong', async () => {
    const { socket, clock } = openGateway();
    const client = await socket('/ws');
    client.post({ type: 'channel.publish', channel: 'news', data: 1 });
    await client.hangUp();
    await clock.settle();
    expect(client.frames).toHaveLength(1);
  });
});

describe('a store that cannot be reached', () => {
  it('L-11 is told as such, and the connection stays', async () => {
    let isDown = false;
    const { socket, problems } = openGateway({
      through: (store) =>
        interceptStore(store, async (call, go) => {
          if (isDown && call.name === 'append') throw new StoreError('unavailable', 'the disk is gone');
          return go();
        }),
    });
    const client = await socket('/ws');
    isDown = true;
    await client.send({ type: 'channel.publish', channel: 'news', data: 1, request_id: 1 });
    expect(client.last('error')).toMatchObject({ code: 'unavailable', request_id: 1 });
    expect(client.last('error').message).not.toContain('disk');
    expect(nth(problems.splice(0), 0)).toContain('the disk is gone');
    isDown = false;
    await client.send({ type: 'channel.publish', channel: 'news', data: 1 });
    expect(client.last('channel.published').sequence).toBe(1);
  });

  it('L-11 our own faults are told as such, without what they are', async () => {
    const { socket, problems } = openGateway({
      through: (store) =>
        interceptStore(store, async (call, go) => {
          if (call.name === 'append') throw new TypeError('secret.of is not a function');
          return go();
        }),
    });
    const client = await socket('/ws');
    await client.send({ type: 'channel.publish', channel: 'news', data: 1 });
    expect(client.last('error').code).toBe('internal');
    expect(client.last('error').message).not.toContain('secret');
    expect(only(problems.splice(0))).toContain('secret.of is not a function');
  });
});
