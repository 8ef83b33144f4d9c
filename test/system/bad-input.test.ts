import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { FRAMES, NO_FRAMES, NO_REQUESTS, NO_VERSION } from './bad-frames.ts';
import { type Bystander, openBystander } from './bystander.ts';
import { type ServerProcess, startServer } from './server-process.ts';
import { headOf, openStranger, rawHttp, type Stranger } from './stranger.ts';
import { until } from './waiting.ts';

/**
 * Whatever comes in gets the answer that PROTOCOL.md has for it; the server lives, and somebody else who listens to a
 * story on it notices nothing: every event once, in order, on the one connection.
 */

describe('bad input', () => {
  let folder: string;
  let server: ServerProcess;
  let bystander: Bystander;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'continuo-bad-input-'));
    server = await startServer({ store: `sqlite:${join(folder, 'store.db')}` });
    bystander = await openBystander(server);
  });
  afterAll(async () => {
    await server.kill();
    rmSync(folder, { recursive: true, force: true });
  });
  afterEach(async () => {
    expect(await (await fetch(`${server.url}/live`)).json()).toEqual({ status: 'ok' });
    await bystander.check();
  });

  const open = (path: '/' | '/ws' = '/'): Promise<Stranger> => openStranger({ port: server.port, path });

  async function joined(frame: object = {}): Promise<Stranger> {
    const stranger = await open();
    stranger.send(JSON.stringify({ type: 'join', agent_id: 'echo', ...frame }));
    expect(await stranger.next()).toMatchObject({ type: 'joined' });
    return stranger;
  }

  async function expectAlive(stranger: Stranger): Promise<void> {
    stranger.send('{"type":"ping","request_id":"alive"}');
    expect(await stranger.next()).toEqual({ type: 'pong', request_id: 'alive' });
    stranger.raw.cut();
  }

  it.each(NO_FRAMES)('L-12 a frame that is none gets an error: %s', async (_what, opcode, payload, code) => {
    const stranger = await open();
    stranger.write(opcode, payload);
    const answer = await stranger.next();
    expect(answer).toMatchObject({ type: 'error', code, message: expect.stringMatching(/\w \w/) });
    expect(String(answer.message).length).toBeLessThan(300);
    await expectAlive(stranger);
  });

  it.each(FRAMES)('L-12 a wrong field gets `bad_request` with its name: $type', async (row) => {
    const { type, fields, good, bad, free = [] } = row;
    expect(new Set(['type', ...Object.keys(bad), ...free])).toEqual(new Set(fields));
    const stranger = await open();
    for (const [field, values] of Object.entries(bad)) {
      for (const [request_id, value] of values.entries()) {
        stranger.send(JSON.stringify({ type, ...good, [field]: value, request_id }));
        const answer = await stranger.next();
        expect(answer, `${field}: ${JSON.stringify(value)}`).toMatchObject({
          type: 'error',
          code: 'bad_request',
          message: expect.stringContaining(`"${field}`),
          request_id,
        });
      }
    }
    await expectAlive(stranger);
  });

  it.each(['-1', '9007199254740992', '1e400', '-1e400', '"5"', '1.5', '{}'])(
    'L-12 `since` %s gets `bad_request`',
    async (since) => {
      const stranger = await open();
      stranger.send(`{"type":"join","agent_id":"echo","since":${since}}`);
      expect(await stranger.next()).toMatchObject({
        code: 'bad_request',
        message: expect.stringMatching('since'),
      });
      await expectAlive(stranger);
    },
  );

  it('G-10 a `since` far ahead gets a snapshot', async () => {
    const first = await joined();
    const { session_id } = first.raw.frames[0] ?? {};
    const stranger = await joined({ session_id, since: Number.MAX_SAFE_INTEGER });
    expect(stranger.raw.frames[0]).toMatchObject({ resumed: true, resync_required: true, cursor: 0 });
    expect(await stranger.next()).toMatchObject({ type: 'snapshot', reason: 'ahead' });
    await expectAlive(stranger);
    first.raw.cut();
  });

  it.each(NO_VERSION)('G-4 the version %j ends the connection with 4400', async (version) => {
    for (const [frame, answer] of [
      [
        { type: 'join', min_version: version },
        { type: 'error', code: 'invalid_protocol_hello' },
      ],
      [
        { type: 'join', max_version: version },
        { type: 'error', code: 'invalid_protocol_hello' },
      ],
      [
        { type: 'hello', protocol_min: version },
        { type: 'hello_error', code: 'protocol_unsupported' },
      ],
      [
        { type: 'hello', protocol: { max: version } },
        { type: 'hello_error', code: 'protocol_unsupported' },
      ],
    ] as const) {
      const stranger = await open();
      stranger.send(JSON.stringify({ agent_id: 'echo', ...frame }));
      expect(await stranger.next(), JSON.stringify(frame)).toMatchObject(answer);
      expect(await stranger.closed()).toBe(4400);
    }
  });

  it.each(['__proto__', 'constructor', 'toString', 'a\u0000b', '\ud800'])(
    'G-15 the agent %j is unknown: 4404',
    async (agent_id) => {
      const stranger = await open();
      stranger.send(JSON.stringify({ type: 'join', agent_id }));
      expect(await stranger.next()).toMatchObject({ type: 'error', code: 'agent_not_found' });
      expect(await stranger.closed()).toBe(4404);
    },
  );

  it.each(['__proto__', 'constructor', '\ud800', 'a\u0000b', '../../etc/passwd', '%'])(
    'G-10 the session %j is unknown: a new one with another id',
    async (session_id) => {
      const stranger = await joined({ session_id });
      expect(stranger.raw.frames[0]).toMatchObject({ resumed: false });
      expect(stranger.raw.frames[0]?.session_id).not.toBe(session_id);
      stranger.send(JSON.stringify({ type: 'approval_response', approval_id: session_id, approved: true }));
      expect(await stranger.next()).toMatchObject({ type: 'error', code: 'not_found' });
      await expectAlive(stranger);
    },
  );

  const POLLUTION = '"__proto__":{"polluted":1,"since":-1},"constructor":{"prototype":{"polluted":1}}';
  it.each([
    ['the frame', `{"type":"message","content":"hi",${POLLUTION}}`, 'echo: hi'],
    ['the metadata', `{"type":"message","content":"hi","metadata":{${POLLUTION}}}`, 'echo: hi'],
    ['deep metadata', `{"type":"message","content":"hi","metadata":{"a":[{${POLLUTION}}]}}`, 'echo: hi'],
    ['the content', `{"type":"message","content":{"text":"hi",${POLLUTION}}}`, /^echo: \{/],
    ['half a pair', '{"type":"message","content":"\\ud800 hi"}', 'echo: \ud800 hi'],
    ['NUL characters', '{"type":"message","content":"\\u0000 hi"}', 'echo: \u0000 hi'],
  ])('G-9 is answered and spoils nothing: %s', async (_where, text, content) => {
    const stranger = await open();
    stranger.send(`{"type":"join","agent_id":"echo",${POLLUTION}}`);
    expect(await stranger.next()).toMatchObject({ type: 'joined', resumed: false });
    stranger.send(text);
    const isFinal = (frame: object): boolean => JSON.stringify(frame).includes('"final"');
    expect(await stranger.raw.frame(isFinal)).toMatchObject({
      event: { data: { outcome: { status: 'ok' }, content: expect.stringMatching(content) } },
    });
    stranger.raw.cut();
    const later = await joined();
    expect(JSON.stringify(later.raw.frames[0])).not.toContain('polluted');
    expect(await (await fetch(`${server.url}/info`)).text()).not.toContain('polluted');
    await expectAlive(later);
  });

  it('L-12 a frame of 20 MB ends the connection with 1009, before it is read', async () => {
    const stranger = await open();
    stranger.raw.socket.write(Buffer.concat([headOf(1, 20_000_000), Buffer.alloc(65_536)]));
    expect(await stranger.closed()).toBe(1009);
    const whole = await open();
    whole.send(Buffer.alloc(20_000_000, 'x'));
    expect([1009, 1006]).toContain(await whole.closed()); // what is still on its way may be answered with a reset
  });

  it.each([
    ['text that is no UTF-8', Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0xff, 0xfe]), 1007],
    ['a frame without a mask', Buffer.from([0x81, 0x02, 0x7b, 0x7d]), 1002],
    ['a frame of an unknown kind', Buffer.from([0x83, 0x80, 0, 0, 0, 0]), 1002],
    ['a ping of 126 bytes', Buffer.from([0x89, 0xfe, 0, 126, 0, 0, 0, 0]), 1002],
  ])('L-12 what is no WebSocket ends the connection: %s', async (_what, bytes, code) => {
    const stranger = await open();
    stranger.raw.socket.write(bytes);
    expect(await stranger.closed()).toBe(code);
  });

  it.each(NO_REQUESTS)('L-14 a request that is none is refused: %s', async (_what, text, status) => {
    const answer = await rawHttp({ port: server.port, text });
    expect(answer.status).toBe(status);
    expect(answer.text).not.toContain('hidden');
  });

  it('L-12 half a request whose client goes away is no harm', async () => {
    for (let at = 0; at < 100; at++) {
      const socket = connect(server.port, '127.0.0.1');
      socket.write('GET /?token=hidden HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: webso');
      await until('it is sent', 5_000, () => socket.bytesWritten > 0);
      socket.resetAndDestroy();
    }
  });

  it('L-12 10,000 frames at once are all answered, in order, a thousand a second', async () => {
    const stranger = await open();
    const startedAt = Date.now();
    stranger.raw.socket.cork();
    for (let request_id = 1; request_id <= 10_000; request_id++)
      stranger.send(`{"type":"ping","request_id":${request_id}}`);
    stranger.raw.socket.uncork();
    await bystander.check();
    await until('every answer', 30_000, () => stranger.raw.frames.length === 10_000);
    expect(Date.now() - startedAt).toBeGreaterThan(7_500);
    expect(stranger.raw.frames.every((frame, index) => frame.request_id === index + 1)).toBe(true);
    stranger.raw.cut();
  });

  it('nothing of it was our own fault, and the stories were told whole', async () => {
    expect(await bystander.finish()).toBeGreaterThan(0);
    bystander = await openBystander(server);
    expect(server.errors).toBe('');
  });
});
