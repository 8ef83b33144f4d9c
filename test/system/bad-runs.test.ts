import { connect } from 'node:net';
import { RUN_ROUTES, RUN_SCHEMAS, type RunRoute } from '@continuo/protocol';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ALICE, type BadRuns, openBadRuns } from './bad-runs.ts';
import { BODIES, QUERIES } from './bad-run-fields.ts';
import { rawHttp } from './stranger.ts';

/** Bodies and queries of door 4 that are wrong: each is refused with a sentence that names what is. */

let world: BadRuns;
beforeAll(async () => {
  world = await openBadRuns();
});
afterAll(() => world.close());
afterEach(() => world.check());

/** A path of Alice's own, so that nothing but the field is wrong. */
function pathOf({ path }: RunRoute): string {
  const { run, other, approval, memory, session } = world.alices;
  const [, kind = ''] = path.split('/');
  const own = kind === 'agents' ? run : kind === 'teams' ? other : 'run_none';
  return path
    .replace('{id}', { agents: 'clerk', teams: 'pair', workflows: 'chain' }[kind] ?? '')
    .replace('{run_id}', own)
    .replace('{approval_id}', approval)
    .replace('{memory_id}', memory)
    .replace('{session_id}', session);
}

const withBody = RUN_ROUTES.flatMap((route) =>
  route.body ? [[route.name, route, route.body] as const] : [],
);
const withQuery = RUN_ROUTES.flatMap((route) =>
  route.query ? [[route.name, route, route.query] as const] : [],
);
const post = ([name, route]: readonly [string, RunRoute, string]) => [name, route] as const;

describe('a field that is wrong', () => {
  it('has its values for every field of every body and query', () => {
    for (const [name, { bad, free = [] }] of Object.entries({ ...BODIES, ...QUERIES })) {
      const fields = Object.keys(RUN_SCHEMAS[name as keyof typeof BODIES].shape);
      expect(new Set([...Object.keys(bad), ...free]), name).toEqual(new Set(fields));
    }
  });

  it.each(withBody)('R-9 in JSON gets 422 with its name: %s', async (_name, route, body) => {
    const { good, bad } = BODIES[body];
    for (const [field, values] of Object.entries(bad)) {
      for (const value of values) {
        const { status, detail } = await world.json('POST', pathOf(route), { ...good, [field]: value });
        expect([status, detail], `${field}: ${JSON.stringify(value)}`).toEqual([
          422,
          expect.stringContaining(`"${field}`),
        ]);
      }
    }
  });

  it.each(withBody)('R-9 in a form gets 422 with its name: %s', async (_name, route, body) => {
    const { good, bad } = BODIES[body];
    for (const [field, values] of Object.entries(bad)) {
      for (const value of values.filter((each) => typeof each === 'string')) {
        if (!value.isWellFormed()) continue; // a form cannot say it
        const texts = Object.entries(good).map(([key, text]): [string, string] => [
          key,
          typeof text === 'string' ? text : JSON.stringify(text),
        ]);
        const fields = new URLSearchParams({ ...Object.fromEntries(texts), [field]: value });
        const { status, detail } = await world.form('POST', pathOf(route), String(fields));
        expect([status, detail], `${field}: ${JSON.stringify(value)}`).toEqual([
          422,
          expect.stringContaining(`"${field}`),
        ]);
      }
    }
  });

  it.each(withBody.filter(([, , body]) => BODIES[body].required))(
    'R-9 that is missing gets 422 with its name: %s',
    async (_name, route, body) => {
      const path = pathOf(route);
      const { required } = BODIES[body];
      const asks = [
        world.json('POST', path, {}),
        world.form('POST', path, ''),
        world.form('POST', path, 'other=1'),
        world.ask({ method: 'POST', path, token: ALICE }),
      ];
      for (const { status, detail } of await Promise.all(asks))
        expect([status, detail]).toEqual([422, expect.stringContaining(`"${required}"`)]);
    },
  );

  it.each(withQuery)('R-9 in a query gets 422 with its name: %s', async (_name, route, query) => {
    for (const [field, values] of Object.entries(QUERIES[query].bad)) {
      for (const value of values) {
        const asked = `${pathOf(route)}?${new URLSearchParams({ [field]: String(value) })}`;
        const { status, detail } = await world.ask({ path: asked, token: ALICE });
        expect([status, detail], asked).toEqual([422, expect.stringContaining(`"${field}"`)]);
      }
    }
  });

  it.each([
    ['Idempotency-Key', 'x'.repeat(201), '/agents/echo/runs', 'POST'],
    ['Last-Event-ID', 'soon', '/agents/clerk/runs/RUN/events', 'GET'],
    ['Last-Event-ID', '1.5', '/agents/clerk/runs/RUN/events', 'GET'],
  ])('R-9 in the header %s gets 422 with its name: %s', async (header, value, path, method) => {
    const { status, detail } = await world.ask({
      method,
      path: path.replace('RUN', world.alices.run),
      token: ALICE,
      headers: { [header]: value, ...(method === 'POST' && { 'content-type': 'application/json' }) },
      ...(method === 'POST' && { body: '{"message":"hi"}' }),
    });
    expect([status, detail.toLowerCase()]).toEqual([422, expect.stringContaining(header.toLowerCase())]);
  });
});

const JSON_TYPE = 'application/json';
const FORM_TYPE = 'application/x-www-form-urlencoded';

describe('a body that is not what it says', () => {
  it.each(withBody.map(post))('R-9 is refused with a sentence: %s', async (_name, route) => {
    const path = pathOf(route);
    for (const [type, body, statuses] of [
      [JSON_TYPE, 'message=hi&approved=true', [400]],
      [JSON_TYPE, '{"message":"hi","approved":true', [400]],
      [JSON_TYPE, Buffer.from([0xff, 0xfe, 0x7b, 0x7d]), [400]],
      [JSON_TYPE, `${'['.repeat(200)}${']'.repeat(200)}`, [400]],
      [JSON_TYPE, '[]', [422]],
      [JSON_TYPE, '[{"message":"hi","approved":true}]', [422]],
      [JSON_TYPE, 'null', [422]],
      [JSON_TYPE, '"message"', [422]],
      [JSON_TYPE, '7', [422]],
      ['multipart/form-data', 'message=hi', [400]],
      ['multipart/form-data; boundary=x', 'message=hi', [400]],
      [
        'multipart/form-data; boundary=x',
        '--x\r\nContent-Disposition: form-data; name="message"\r\n\r\nhi',
        [400],
      ],
      ['text/html', '<p>hi</p>', [400]],
    ] as const) {
      const { status, detail } = await world.ask({
        method: 'POST',
        path,
        token: ALICE,
        headers: { 'content-type': type },
        body,
      });
      expect(statuses, `${type}: ${String(body).slice(0, 60)}: ${status} ${detail}`).toContain(status);
      expect(detail).toMatch(/\w \w/);
    }
  });

  it.each(withBody.filter(([, , body]) => BODIES[body].required))(
    'R-9 JSON that is called a form has none of its fields: %s',
    async (_name, route, body) => {
      const path = pathOf(route);
      const { good, required } = BODIES[body];
      const { status, detail } = await world.form('POST', path, JSON.stringify(good));
      expect([status, detail]).toEqual([422, expect.stringContaining(`"${required}"`)]);
    },
  );

  it('R-9 a file is no message, and no answer', async () => {
    for (const [path, field] of [
      ['/agents/echo/runs', 'message'],
      [`/agents/clerk/runs/${world.alices.run}/steer`, 'message'],
      [`/agents/clerk/runs/${world.alices.run}/continue`, 'tools'],
      [`/approvals/${world.alices.approval}`, 'approved'],
    ] as const) {
      const form = new FormData();
      form.set(field, new File(['hi'], 'hi.txt', { type: 'text/plain' }));
      const request = new Request('http://x', { method: 'POST', body: form });
      const { status, detail } = await world.ask({
        method: 'POST',
        path,
        token: ALICE,
        headers: { 'content-type': request.headers.get('content-type') ?? '' },
        body: Buffer.from(await request.arrayBuffer()),
      });
      expect([path, status, detail]).toEqual([path, 422, expect.stringContaining(`"${field}"`)]);
    }
  });

  it('R-9 a field that is there twice counts once, and the run is the one that is answered', async () => {
    for (const [type, body] of [
      [FORM_TYPE, 'message=one&message=two&stream=false&stream=false'],
      [JSON_TYPE, '{"message":"one","message":"two","stream":true,"stream":false}'],
    ] as const) {
      const { status, text } = await world.ask({
        method: 'POST',
        path: '/agents/echo/runs',
        token: ALICE,
        headers: { 'content-type': type },
        body,
      });
      expect([status, JSON.parse(text)]).toMatchObject([200, { content: 'echo: two', status: 'COMPLETED' }]);
    }
  });

  it.each(['__proto__', 'constructor', 'toString', 'message[]', 'message[text]', 'message.text', 'Message'])(
    'R-9 a field of the name %s is none that counts, and spoils nothing',
    async (field) => {
      const { status, detail } = await world.form('POST', '/agents/echo/runs', `${field}=hi&stream=false`);
      expect([status, detail]).toEqual([422, expect.stringContaining('"message"')]);
      const text = `{"message":"hi","stream":false,${JSON.stringify(field)}:{"polluted":1}}`;
      const headers = { 'content-type': JSON_TYPE };
      const path = '/agents/echo/runs';
      const answer = await world.ask({ method: 'POST', path, token: ALICE, headers, body: text });
      expect([answer.status, answer.text.includes('polluted')]).toEqual([200, false]);
    },
  );
});

describe('a body that does not say its length', () => {
  it('R-5 is taken in pieces', async () => {
    const head = `POST /agents/echo/runs HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${ALICE}\r\nConnection: close\r\nContent-Type: ${JSON_TYPE}\r\nTransfer-Encoding: chunked\r\n\r\n`;
    const pieces = ['{"message":"hi ', 'there","stream":fa', 'lse}', ''];
    const chunks = pieces.map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`).join('');
    const { status, text } = await rawHttp({ port: world.port, text: head + chunks });
    expect([status, text.includes('echo: hi there')]).toEqual([200, true]);
  });
});

describe('a body whose client goes away', () => {
  it.each([
    ['that says its length', 'Content-Length: 1000\r\n\r\n{"message":'],
    ['in chunks', 'Transfer-Encoding: chunked\r\n\r\nb\r\n{"message":\r\n'],
    ['in chunks that are none', 'Transfer-Encoding: chunked\r\n\r\nb\r\n{"message":xx\r\n'],
  ])('L-12 is no harm, and nothing to report: %s', async (_how, text) => {
    for (const type of [JSON_TYPE, FORM_TYPE, 'multipart/form-data; boundary=x']) {
      const socket = connect(world.port, '127.0.0.1');
      socket.on('error', () => {});
      socket.write(
        `POST /agents/echo/runs HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${ALICE}\r\nContent-Type: ${type}\r\n${text}`,
      );
      await world.ask({ path: '/config', token: ALICE }); // the server has it by now
      socket.resetAndDestroy();
    }
    await world.ask({ path: '/config', token: ALICE });
  });
});

describe('a body that is too large', () => {
  it.each(withBody.map(post))('R-9 of 10 MB gets 413, before it is read: %s', async (_name, route) => {
    const path = pathOf(route);
    const head = `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${ALICE}\r\nContent-Type: ${JSON_TYPE}\r\n`;
    const told = await rawHttp({
      port: world.port,
      text: `${head}Content-Length: 10000000\r\n\r\n{"message":"`,
    });
    expect(told.status).toBe(413);
    expect(told.text).toMatch(/"detail":"A body has at most \d+ bytes\."/);
    const chunk = 'x'.repeat(65_536);
    const chunks = `10000\r\n${chunk}\r\n`.repeat(153);
    const untold = await rawHttp({
      port: world.port,
      text: `${head}Transfer-Encoding: chunked\r\n\r\n${chunks}0\r\n\r\n`,
    });
    expect([413, 0]).toContain(untold.status); // what is still on its way may be answered with a reset
  });

  it('R-9 a message that no entry can hold gets 413', async () => {
    const { status, detail } = await world.json('POST', '/agents/echo/runs', {
      message: 'x'.repeat(1_045_000),
      stream: false,
    });
    expect([status, detail]).toEqual([413, expect.stringContaining('too large')]);
  });
});
