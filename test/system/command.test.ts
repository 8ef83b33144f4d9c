import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
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
async function run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  const child = spawn(process.execPath, [COMMAND, ...args], {
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
    expect(info.agents.map((agent) => agent.id)).toEqual(['echo', 'slow', 'storyteller', 'story-team']);
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
