import {
  AbortFrame,
  ApprovalResponseFrame,
  HelloFrame,
  JoinFrame,
  LeaveFrame,
  MessageFrame,
  PingFrame,
  PongFrame,
} from '@continuo/protocol';

/** What is wrong in the fields of door 1: every field of every frame that clients send. */

const NO_TEXT = [7, true, [], {}];
const CONTROL = ['a\u0000b', 'a\nb', 'a\u007f'];
const HALF_A_PAIR = '\ud800';
/** Ids that a client makes: 1 to 200 printable characters. */
const NO_ID = [...NO_TEXT, '', 'x'.repeat(201), HALF_A_PAIR, ...CONTROL];
const NO_SERVER_ID = [...NO_TEXT, 'x'.repeat(201)];
const NO_OFFSET = [-1, 1.5, '5', 2 ** 53, 1e300, true, [], {}];
const NO_LIST = ['all', 7, true, {}, [7], [null]];
/** Versions are judged by the handshake, which ends the connection. */
export const NO_VERSION: readonly unknown[] = ['1', 1.5, true, [], {}, 1e300];

export interface FrameRow {
  readonly type: string;
  /** Its fields by its schema: the table must have each of them. */
  readonly fields: readonly string[];
  /** What makes a frame that is right. */
  readonly good: Readonly<Record<string, unknown>>;
  /** By field, values that are answered with `bad_request`. */
  readonly bad: Readonly<Record<string, readonly unknown[]>>;
  /** Fields of any type. */
  readonly free?: readonly string[];
}

const approval = { approval_id: 'a1', approved: true };
const fieldsOf = (schema: { readonly shape: object }): readonly string[] => Object.keys(schema.shape);

export const FRAMES: readonly FrameRow[] = [
  {
    type: 'join',
    fields: fieldsOf(JoinFrame),
    good: { agent_id: 'echo' },
    bad: {
      agent_id: [...NO_SERVER_ID, '', null],
      session_id: [...NO_SERVER_ID, null],
      since: [...NO_OFFSET, null],
      epoch: [...NO_SERVER_ID, null],
      capabilities: [...NO_LIST, null],
      token: [...NO_TEXT, null],
      client_id: [...NO_ID, null],
    },
    free: ['min_version', 'max_version'],
  },
  {
    type: 'hello',
    fields: fieldsOf(HelloFrame),
    good: { agent_id: 'echo' },
    bad: {
      agent_id: [...NO_SERVER_ID, '', null],
      session_id: NO_SERVER_ID,
      since: NO_OFFSET,
      epoch: NO_SERVER_ID,
      capabilities: [...NO_LIST, null],
      caps: [...NO_LIST, null],
      token: NO_TEXT,
      client_id: NO_ID,
      protocol: ['1', 7, true, [], null],
    },
    free: ['protocol_min', 'protocol_max'],
  },
  {
    type: 'message',
    fields: fieldsOf(MessageFrame),
    good: { content: 'hi' },
    bad: {
      content: ['', 7, true, ['hi'], null],
      message_id: [...NO_ID, null],
      metadata: ['x', 7, true, [], null],
      steer: ['true', 1, [], {}, null],
    },
  },
  ...['abort', 'message_abort'].map((type) => ({
    type,
    fields: fieldsOf(AbortFrame),
    good: {},
    bad: { reason: [...NO_TEXT, null] },
  })),
  {
    type: 'approval_response',
    fields: fieldsOf(ApprovalResponseFrame),
    good: approval,
    bad: {
      approval_id: [...NO_SERVER_ID, '', null],
      approved: ['yes', 0, [], {}, null],
      note: [...NO_TEXT, null, 'x'.repeat(2_001)],
    },
  },
  { type: 'leave', fields: fieldsOf(LeaveFrame), good: {}, bad: {} },
  { type: 'ping', fields: fieldsOf(PingFrame), good: {}, bad: {} },
  { type: 'pong', fields: fieldsOf(PongFrame), good: {}, bad: {} },
];

const nested = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);
const BINARY = 2;
const TEXT = 1;

/** Frames that are none, or none of door 1: [what, opcode, payload, code]. The connection stays. */
export const NO_FRAMES: readonly (readonly [string, number, Buffer, string])[] = [
  ...(
    [
      ['no JSON', 'hello', 'bad_frame'],
      ['half of one', '{"type":"ping"', 'bad_frame'],
      ['two of them', '{"type":"ping"}{"type":"ping"}', 'bad_frame'],
      ['nothing', '', 'bad_frame'],
      ['null', 'null', 'bad_frame'],
      ['a number', '7', 'bad_frame'],
      ['a text', '"ping"', 'bad_frame'],
      ['a list', '[{"type":"ping"}]', 'bad_frame'],
      ['without a type', '{}', 'bad_frame'],
      ['of a type that is a number', '{"type":7}', 'bad_frame'],
      ['of a type that is null', '{"type":null}', 'bad_frame'],
      ['of a type that is a list', '{"type":["ping"]}', 'bad_frame'],
      ['with its type in its prototype', '{"__proto__":{"type":"ping"}}', 'bad_frame'],
      ['of an unknown type', '{"type":"dance"}', 'unknown_type'],
      ['of the type __proto__', '{"type":"__proto__"}', 'unknown_type'],
      ['of the type constructor', '{"type":"constructor"}', 'unknown_type'],
      ['of a long unknown type', JSON.stringify({ type: 'x'.repeat(100_000) }), 'unknown_type'],
      ['of another door', '{"type":"channel.publish"}', 'wrong_door'],
      ['with a NUL character', '{"type":"ping\u0000"}', 'bad_frame'],
      ['of 101 levels', `{"type":"ping","x":${nested(100)}}`, 'bad_frame'],
      ['of a hundred thousand levels', `{"type":"ping","x":${nested(100_000)}}`, 'bad_frame'],
      ['of a hundred thousand levels that are not closed', '['.repeat(100_000), 'bad_frame'],
      ['with a request_id that is an object', '{"type":"ping","request_id":{}}', 'bad_frame'],
      ['with a request_id that is null', '{"type":"ping","request_id":null}', 'bad_frame'],
      ['of 2 MB', `{"type":"ping","x":"${'x'.repeat(2_000_000)}"}`, 'too_large'],
    ] as const
  ).map(([what, text, code]) => [what, TEXT, Buffer.from(text), code] as const),
  ['binary', BINARY, Buffer.from('{"type":"ping"}'), 'bad_frame'],
  ['binary of 2 MB', BINARY, Buffer.alloc(2_000_000), 'bad_frame'],
];

/** Requests that are refused before there is a connection: [what, bytes, status]. */
const UPGRADE = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'];
const KEY = 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==';
const HOST = 'Host: 127.0.0.1';
const ask = (...lines: readonly string[]): string => `${lines.join('\r\n')}\r\n\r\n`;
const close = 'Connection: close';

export const NO_REQUESTS: readonly (readonly [string, string, number])[] = [
  ['a foreign Origin', ask('GET / HTTP/1.1', HOST, ...UPGRADE, KEY, 'Origin: https://evil.example'), 403],
  ['the Origin null', ask('GET /ws HTTP/1.1', HOST, ...UPGRADE, KEY, 'Origin: null'), 403],
  ['a foreign Host', ask('GET / HTTP/1.1', 'Host: evil.example', ...UPGRADE, KEY), 403],
  ['a foreign Origin over HTTP', ask('GET /info HTTP/1.1', HOST, close, 'Origin: https://evil.example'), 403],
  ['a foreign Host over HTTP', ask('GET /agents HTTP/1.1', 'Host: evil.example', close), 403],
  ['no door', ask('GET /nowhere HTTP/1.1', HOST, ...UPGRADE, KEY), 404],
  ['half an upgrade: no key', ask('GET / HTTP/1.1', HOST, ...UPGRADE), 400],
  [
    'an old version',
    ask('GET / HTTP/1.1', HOST, ...UPGRADE.slice(0, 2), 'Sec-WebSocket-Version: 7', KEY),
    400,
  ],
  ['an upgrade by POST', ask('POST / HTTP/1.1', HOST, ...UPGRADE, KEY), 405],
  ['no HTTP', ask('hello'), 400],
  ['no Host', ask('GET /info HTTP/1.1', close), 400],
  ['a header of 100 KB', ask('GET / HTTP/1.1', HOST, `X: ${'x'.repeat(100_000)}`), 431],
  ['an upgrade whose URL is none', ask('GET http://[?token=hidden HTTP/1.1', HOST, ...UPGRADE, KEY), 404],
  ['a URL that is none', ask('GET http://[?token=hidden HTTP/1.1', HOST, close), 400],
  ['a Host that is none', ask('GET /agents?token=hidden HTTP/1.1', 'Host: a b', close), 400],
  ['a body of 2 MB', ask('POST /agents/echo/runs HTTP/1.1', HOST, 'Content-Length: 2000000'), 413],
];
