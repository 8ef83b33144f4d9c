import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openSqliteStore, systemClock } from '@continuo/server';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openRawSocket } from './raw-socket.ts';
import { type ServerProcess, startServer } from './server-process.ts';

const COMMAND = fileURLToPath(new URL('../../packages/cli/bin/continuo.js', import.meta.url));

interface Ended {
  readonly code: number | null;
  readonly output: string;
  readonly errors: string;
}

/** Runs the command until it ends by itself. */
async function run(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  cwd: string = process.cwd(),
): Promise<Ended> {
  const child = spawn(process.execPath, [COMMAND, ...args], {
    cwd,
    env: { ...process.env, NODE_OPTIONS: '', ...env },
  });
  let output = '';
  let errors = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, output, errors };
}

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'continuo-command-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('what was asked wrongly is one sentence, and exit code 2', () => {
  it('a port that is taken', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as AddressInfo;
    const { code, output, errors } = await run(['serve', '--store', 'memory', '--port', String(port)]);
    taken.close();
    expect({ code, output }).toEqual({ code: 2, output: '' });
    expect(errors).toBe(
      `continuo: Port ${port} of 127.0.0.1 is taken: stop what listens there, or give another with --port.\n`,
    );
  });

  const broken = (): string => {
    const path = join(folder, 'broken.db');
    writeFileSync(path, 'this is no database, and long enough to be looked at as one '.repeat(40));
    return path;
  };
  it.each<[string, () => readonly string[], Readonly<Record<string, string>>, RegExp]>([
    ['an unknown option', () => ['serve', '--colour'], {}, /unknown option '--colour'/],
    ['an unknown command', () => ['sing'], {}, /unknown command 'sing'/],
    [
      'a port that is none',
      () => ['serve', '--port', 'eighty'],
      {},
      /'eighty' is invalid.* A port is 0 to 65535/,
    ],
    ['a port that is too high', () => ['serve', '--port', '70000'], {}, /A port is 0 to 65535/],
    [
      'channels that are neither on nor off',
      () => ['serve', '--store', 'memory'],
      { CONTINUO_PUSH: 'maybe' },
      /CONTINUO_PUSH is "maybe": it must be true, 1, false or 0/,
    ],
    ['a port of the environment', () => ['serve'], { CONTINUO_PORT: 'x' }, /CONTINUO_PORT is "x"/],
    [
      'a store that is none',
      () => ['serve', '--store', 'cloud'],
      {},
      /The store is "cloud": it must be memory or sqlite:PATH/,
    ],
    [
      'a store that is a folder',
      () => ['serve', '--store', `sqlite:${folder}`],
      {},
      /cannot open .*--store sqlite:PATH/,
    ],
    [
      'a store that is no database',
      () => ['serve', '--store', `sqlite:${broken()}`],
      {},
      /cannot open .*not a database/,
    ],
    [
      'a host that is not here',
      () => ['serve', '--store', 'memory', '--host', '192.0.2.1', '--token', 't'],
      {},
      /no address 192\.0\.2\.1/,
    ],
    [
      'a log level that is none',
      () => ['serve', '--log-level', 'loud'],
      {},
      /--log-level is "loud": it must be/,
    ],
    ['a configuration that is not there', () => ['serve', '--config', 'no.ts'], {}, /no file no\.ts/],
    [
      'a secret that is too short',
      () => ['serve', '--store', 'memory'],
      { CONTINUO_JWT_SECRET: 'short' },
      /CONTINUO_JWT_SECRET has 5 bytes/,
    ],
    ['a token without a secret', () => ['token', '--sub', 'ann'], {}, /CONTINUO_JWT_SECRET is not set/],
    ['a token of nobody', () => ['token'], {}, /required option '--sub <subject>' not specified/],
    [
      'L-16 every address without a token',
      () => ['serve', '--store', 'memory', '--host', '0.0.0.0'],
      {},
      /without a token/,
    ],
  ])('%s', async (_what, args, env, sentence) => {
    const { code, output, errors } = await run(args(), env);
    expect(errors).toMatch(sentence);
    expect(errors.trim().split('\n')).toHaveLength(1);
    expect({ code, output }).toEqual({ code: 2, output: '' });
  });

  it('help and version are no mistakes', async () => {
    expect((await run(['--help'])).code).toBe(0);
    expect(await run(['--version'])).toMatchObject({
      code: 0,
      output: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
    });
    expect((await run(['serve', '--help'])).output).toContain('--quiet');
  });
});

describe('a server that was started', () => {
  let server: ServerProcess;
  beforeAll(async () => {
    server = await startServer({ store: 'memory', args: ['--token', 'secret'] });
  });
  afterAll(() => server.kill());

  it('L-15 answers /health, /live, /ready, /info and / without a token', async () => {
    for (const path of ['/health', '/live', '/ready', '/info', '/']) {
      expect((await fetch(server.url + path)).status, path).toBe(200);
    }
    expect(await (await fetch(`${server.url}/health`)).json()).toMatchObject({ status: 'ok' });
  });

  it('says in /info that its agents are demos and that nothing survives', async () => {
    const info = (await (await fetch(`${server.url}/info`)).json()) as {
      readonly agents: readonly { id: string; demo: boolean; note: string }[];
      readonly store: object;
    };
    expect(info.agents.map((agent) => agent.id)).toEqual([
      'echo',
      'slow',
      'storyteller',
      'clerk',
      'reserver',
      'counter',
      'story-team',
      'content-creation-workflow',
    ]);
    expect(info.agents.every((agent) => agent.demo && /script, not from a model/.test(agent.note))).toBe(
      true,
    );
    expect(info.store).toMatchObject({ name: 'memory', survives_restart: false });
  });

  it('shows on / what runs here and the first three things to try', async () => {
    const page = await (await fetch(`${server.url}/`)).text();
    for (const word of ['echo', 'story-team', '1. Talk', '2. Run', '3. Publish', 'YOUR_TOKEN'])
      expect(page).toContain(word);
  });

  it('L-15 takes its token from a header, from the query and from the first frame, and no other', async () => {
    const agents = `${server.url}/agents`;
    expect((await fetch(agents)).status).toBe(401);
    expect((await fetch(`${agents}?token=wrong`)).status).toBe(401);
    expect((await fetch(`${agents}?token=secret`)).status).toBe(200);
    expect((await fetch(agents, { headers: { authorization: 'Bearer secret' } })).status).toBe(200);
    const joins = async (path: string, headers: Record<string, string>, token?: string): Promise<unknown> => {
      const socket = await openRawSocket({ port: server.port, path, headers });
      socket.send({ type: 'join', agent_id: 'echo', ...(token !== undefined && { token }) });
      const answer = await socket.frame(() => true);
      socket.cut();
      return answer.type === 'error' ? answer.code : answer.type;
    };
    expect(await joins('/', {})).toBe('unauthorized');
    expect(await joins('/', {}, 'wrong')).toBe('unauthorized');
    expect(await joins('/', {}, 'secret')).toBe('joined');
    expect(await joins('/?token=secret', {})).toBe('joined');
    expect(await joins('/', { authorization: 'Bearer secret' })).toBe('joined');
  });

  it('shows /metrics to administrators', async () => {
    const metrics = `${server.url}/metrics`;
    expect((await fetch(metrics)).status).toBe(401);
    const scraped = await fetch(metrics, { headers: { authorization: 'Bearer secret' } });
    expect(scraped.status).toBe(200);
    expect(await scraped.text()).toMatch(/^continuo_errors_total\{code="unauthorized"\} [1-9]/m);
  });

  it('ends on SIGTERM with 0, and --quiet said one line', async () => {
    const quiet = await startServer({ store: 'memory' });
    expect(await quiet.stop()).toBe(0);
    expect(quiet.output).toBe(`continuo listening on ${quiet.url}\n`);
    expect(quiet.errors).toBe('');
  });
});

it('takes host, port, store, token and push from the environment, and the command line wins', async () => {
  const child = spawn(process.execPath, [COMMAND, 'serve', '--port', '0'], {
    env: {
      ...process.env,
      NODE_OPTIONS: '',
      CONTINUO_PORT: '1',
      CONTINUO_STORE: 'memory',
      CONTINUO_TOKEN: 't',
      CONTINUO_PUSH: 'true',
      CONTINUO_HOST: '127.0.0.1',
    },
  });
  const url = await new Promise<string>((resolve) => {
    child.stdout.on('data', (chunk: Buffer) =>
      resolve(/listening on (\S+)/.exec(chunk.toString())?.[1] ?? ''),
    );
  });
  const info = await (await fetch(`${url}/info`)).json();
  child.kill('SIGKILL');
  expect(info).toMatchObject({ store: { name: 'memory' }, token_required: true, push: { enabled: true } });
});

describe('continuo.config.ts', () => {
  let project: string;
  beforeAll(() => {
    project = join(folder, 'project');
    mkdirSync(project);
    writeFileSync(join(project, 'package.json'), '{ "type": "module" }');
    symlinkSync(fileURLToPath(new URL('../../node_modules', import.meta.url)), join(project, 'node_modules'));
    writeFileSync(
      join(project, 'continuo.config.ts'),
      `import { type ContinuoConfig, defineConfig, env } from 'continuo';
       import { echoAgent } from '@continuo/agents';
       const config: ContinuoConfig = {
         agents: [{ ...echoAgent, id: 'mine', demo: false }],
         store: 'memory',
         port: 1,
         push: true,
         auth: { tokens: [{ token: env('MY_TOKEN'), subject: 'ann' }] },
       };
       export default defineConfig(config);`,
    );
  });

  it('is found in the working folder; the environment and the command line are above it', async () => {
    const child = spawn(process.execPath, [COMMAND, 'serve', '--port', '0', '--log-level', 'info'], {
      cwd: project,
      env: {
        ...process.env,
        NODE_OPTIONS: '',
        CONTINUO_PORT: '2',
        CONTINUO_PUSH: 'false',
        MY_TOKEN: 'of-my-file',
      },
    });
    let output = '';
    let errors = '';
    child.stderr.on('data', (chunk: Buffer) => {
      errors += chunk.toString();
    });
    const url = await new Promise<string>((resolve) => {
      child.stdout.on('data', (chunk: Buffer) => {
        output += chunk.toString();
        if (/Ctrl-C/.test(output)) resolve(/listening on (\S+)/.exec(output)?.[1] ?? '');
      });
    });
    const info = await (await fetch(`${url}/info`)).json();
    const ask = async (token: string): Promise<number> =>
      (await fetch(`${url}/agents?token=${token}`)).status;
    const statuses = [await ask('of-my-file'), await ask('another')];
    child.kill('SIGTERM');
    await new Promise((resolve) => child.once('close', resolve));
    expect(info).toMatchObject({ store: { name: 'memory' }, token_required: true, push: { enabled: false } });
    expect(info).toMatchObject({ agents: [{ id: 'mine', demo: false }] });
    expect(statuses).toEqual([200, 401]);
    expect(output).toMatch(/store memory, channels off, token required\n {2}agents: mine\n/);
    const logged = errors
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { msg: string });
    expect(logged.map(({ msg }) => msg)).toEqual(['listening', expect.stringMatching(/^stopping/)]);
    expect(output + errors).not.toContain('of-my-file');
  });

  it.each<[string, string, RegExp]>([
    [
      'a secret that the environment has not',
      '',
      /continuo\.config\.ts: The environment has no MY_TOKEN: set it/,
    ],
    [
      'a key that is none',
      'export default { prot: 1 };',
      /wrong\.ts: "prot" is no key: did you mean "port"\?/,
    ],
    [
      'a text that is no TypeScript',
      'import type { ContinuoConfig } from "continuo";\nexport default {\n  port: ;\n};',
      /continuo: wrong\.ts, line 3, column 9: Expression expected/,
    ],
    [
      'an imported text that is no TypeScript',
      'import "./folder/broken.ts";\nexport default {};',
      /continuo: wrong\.ts: folder\/broken\.ts, line 1, column 14: Expression expected$/m,
    ],
    [
      'a limit that cannot be',
      'export default { limits: { maxPayloadBytes: 5 } };',
      /continuo: wrong\.ts: "limits\.maxPayloadBytes" is 5: it must be a whole number, 1024 to 1048576\.$/m,
    ],
    [
      'a value that cannot be',
      'export default { port: "x" };',
      /wrong\.ts: "port" is "x": it must be a whole number/,
    ],
  ])('is refused in one sentence: %s', async (_what, text, sentence) => {
    mkdirSync(join(project, 'folder'), { recursive: true });
    writeFileSync(join(project, 'folder', 'broken.ts'), 'const port = ;\n');
    writeFileSync(join(project, 'wrong.ts'), text);
    const args = text === '' ? [] : ['--config', 'wrong.ts'];
    const { code, output, errors } = await run(['serve', ...args], { MY_TOKEN: '' }, project);
    expect(errors).toMatch(sentence);
    expect(errors.trim().split('\n')).toHaveLength(1);
    expect({ code, output }).toEqual({ code: 2, output: '' });
  });
});

describe('continuo token', () => {
  it('prints a token and nothing else', async () => {
    const env = { CONTINUO_JWT_SECRET: '0123456789abcdef0123456789abcdef' };
    const { code, output, errors } = await run(['token', '--sub', 'ann', '--ttl', '10m'], env);
    expect({ code, errors }).toEqual({ code: 0, errors: '' });
    expect(output).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/);
    const claims: unknown = JSON.parse(Buffer.from(output.split('.')[1] ?? '', 'base64url').toString());
    expect(claims).toMatchObject({ sub: 'ann', user_id: 'ann' });
  });
});

describe('continuo doctor', () => {
  const NOTHING = { OPENAI_BASE_URL: '', OPENAI_API_KEY: '', CONTINUO_MODEL: '' };

  it('finds nothing wrong with a machine that is fit, and leaves no file', async () => {
    const path = join(folder, 'fit.db');
    const { code, output, errors } = await run(
      ['doctor', '--port', '0', '--store', `sqlite:${path}`],
      NOTHING,
    );
    expect(output).not.toContain('PROBLEM');
    expect({ code, errors }).toEqual({ code: 0, errors: '' });
    for (const what of ['node', 'config', 'access', 'port', 'store', 'clock', 'files', 'model'])
      expect(output).toMatch(new RegExp(`^ok +${what} `, 'm'));
    expect(existsSync(path)).toBe(false);
  });

  it('says of each problem what to do, and ends with 1', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as AddressInfo;
    const model = createHttpServer((_request, response) => response.writeHead(401).end());
    await new Promise<void>((resolve) => model.listen(0, '127.0.0.1', resolve));
    const base = `http://127.0.0.1:${(model.address() as AddressInfo).port}/v1`;
    const env = { OPENAI_BASE_URL: base, OPENAI_API_KEY: 'key-of-nobody', CONTINUO_MODEL: 'm' };
    const path = join(folder, 'no-database.db');
    writeFileSync(path, 'this is no database, and long enough to be looked at as one '.repeat(40));
    const { code, output } = await run(['doctor', '--port', String(port), '--store', `sqlite:${path}`], env);
    taken.close();
    model.close();
    expect(code).toBe(1);
    expect(output).toMatch(/^PROBLEM +port +\d+ of 127\.0\.0\.1 is taken\n +-> stop what listens there/m);
    expect(output).toMatch(/^PROBLEM +store +cannot open .*not a database\n +-> /m);
    expect(output).toMatch(/^PROBLEM +model .* refuses the key \(401\)\n +-> set OPENAI_API_KEY/m);
    expect(output).not.toContain('key-of-nobody');
  });

  it.each<[string, (path: string) => string, RegExp]>([
    ['has the model', () => '{"data":[{"id":"m"}]}', /^ok +model +m at http/m],
    [
      'has others',
      () => '{"data":[{"id":"a"},{"id":"b"}]}',
      /^PROBLEM +model .* has no model "m"\n +-> .*: a, b$/m,
    ],
    ['lists nothing', () => 'hello', /^ok +model +m at http/m],
  ])('asks the model: an endpoint that %s', async (_what, answer, found) => {
    const model = createHttpServer(({ url = '' }, response) => {
      response.writeHead(url === '/v1/models' ? 200 : 404).end(answer(url));
    });
    await new Promise<void>((resolve) => model.listen(0, '127.0.0.1', resolve));
    const base = `http://127.0.0.1:${(model.address() as AddressInfo).port}/v1/`;
    const env = { ...NOTHING, OPENAI_BASE_URL: base, CONTINUO_MODEL: 'm' };
    const { output } = await run(['doctor', '--port', '0', '--store', 'memory'], env);
    model.close();
    expect(output).toMatch(found);
  });

  it('does not wait for a model that does not answer', async () => {
    const model = createServer(() => {});
    await new Promise<void>((resolve) => model.listen(0, '127.0.0.1', resolve));
    const base = `http://127.0.0.1:${(model.address() as AddressInfo).port}/v1`;
    const env = { ...NOTHING, OPENAI_BASE_URL: base, CONTINUO_MODEL: 'm' };
    const { code, output } = await run(['doctor', '--port', '0', '--store', 'memory'], env);
    model.close();
    expect(code).toBe(1);
    expect(output).toMatch(/^PROBLEM +model .* does not answer within 3 s$/m);
  });

  it('notices a clock that went back', async () => {
    const path = join(folder, 'future.db');
    const hour = 3_600_000;
    const clock = { ...systemClock, now: () => Date.now() + hour };
    const store = await openSqliteStore({ path, clock });
    await store.logs.append('session:local:x', [{ id: 'a', type: 'message', data: {} }]);
    await store.close();
    const { code, output } = await run(['doctor', '--port', '0', '--store', `sqlite:${path}`], NOTHING);
    expect(code).toBe(1);
    expect(output).toMatch(
      /^PROBLEM +clock .* is 3[56]\d\d s before the store's newest entry\n +-> set the clock/m,
    );
    expect(output).toMatch(/^ok +store .* opens and can be written; survives kill -9; /m);
  });

  it('says what is wrong with the configuration, and looks at the rest', async () => {
    const { code, output } = await run(['doctor', '--config', 'no.ts'], NOTHING);
    expect(code).toBe(1);
    expect(output).toMatch(/^PROBLEM +config +There is no file no\.ts/m);
    expect(output).toMatch(/^ok +model /m);
  });
});
