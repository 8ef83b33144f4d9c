import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { GatewayClient } from '@continuo/client';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { startProxy } from './proxy.ts';
import { type ServerProcess, startServer } from './server-process.ts';
import { until } from './waiting.ts';

const COMMAND = fileURLToPath(new URL('../../packages/cli/bin/continuo.js', import.meta.url));

/** A terminal session through a pipe. */
interface Chat {
  readonly child: ChildProcessWithoutNullStreams;
  readonly output: string;
  readonly errors: string;
  readonly ended: Promise<number | null>;
  type(line: string): void;
  /** The end of the input, as Ctrl-D. */
  end(): void;
}

function startChat(url: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Chat {
  const child = spawn(process.execPath, [COMMAND, 'chat', '--url', url, ...args], {
    env: { ...process.env, NODE_OPTIONS: '', ...env },
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let output = '';
  let errors = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  return {
    child,
    get output() {
      return output;
    },
    get errors() {
      return errors;
    },
    ended: new Promise((resolve) => child.once('close', resolve)),
    type: (line) => void child.stdin.write(`${line}\n`),
    end: () => void child.stdin.end(),
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'continuo-chat-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('continuo chat', () => {
  let server: ServerProcess;
  beforeAll(async () => {
    server = await startServer({ store: 'memory', args: ['--token', 'secret'] });
  });
  afterAll(() => server.kill());

  it('answers each line of a pipe, in order, and ends', async () => {
    const chat = startChat(server.url, ['--agent', 'echo', '--token', 'secret']);
    chat.type('one two');
    chat.type('');
    chat.type('three');
    chat.end();
    expect(await chat.ended).toBe(0);
    expect(chat.output).toBe('echo: one two\necho: three\n');
    expect(chat.errors).toBe('');
  });

  it('shows tool calls in one line each, and takes its token from the environment', async () => {
    const chat = startChat(server.url, ['--agent', 'story-team'], { CONTINUO_TOKEN: 'secret' });
    chat.type('hi');
    await until('a member is at work', 10_000, () => chat.output.includes('\n'));
    expect(chat.output).toBe('[delegate {"member":"plotter","message":"hi"}]\n');
  });

  it('/stop ends the answer under way, and the next line is answered', async () => {
    const chat = startChat(server.url, ['--agent', 'storyteller', '--token', 'secret']);
    chat.type('hi');
    await until('it tells', 10_000, () => chat.output.split(' ').length > 5);
    chat.type('/stop');
    await until('it stops', 5_000, () => chat.output.includes('[aborted'));
    chat.type('again');
    await until(
      'it tells again',
      10_000,
      () => chat.output.split('\n').length > 2 && !chat.output.endsWith('\n'),
    );
    chat.type('/stop');
    chat.end();
    expect(await chat.ended).toBe(0);
    expect(chat.output).toMatch(/^\S.*\n\[aborted.*\]\n\S.*\n\[aborted.*\]\n$/);
  });

  it('leaves on Ctrl-C, also in the middle of an answer, with 0', async () => {
    const chat = startChat(server.url, ['--agent', 'storyteller', '--token', 'secret']);
    chat.type('hi');
    await until('it tells', 10_000, () => chat.output.split(' ').length > 5);
    chat.child.kill('SIGINT');
    expect(await chat.ended).toBe(0);
  });

  it('says that a session is not known, and goes on with a new one', async () => {
    const chat = startChat(server.url, [
      '--agent',
      'echo',
      '--token',
      'secret',
      '--session',
      'ses_of_nobody',
    ]);
    chat.type('hi');
    chat.end();
    expect(await chat.ended).toBe(0);
    expect(chat.output).toBe('echo: hi\n');
    expect(chat.errors).toMatch(/does not know the session any more: this is a new one\n$/);
  });

  it.each<[string, readonly string[], RegExp]>([
    ['no token', ['--agent', 'echo'], /A token is required/],
    ['a wrong token', ['--agent', 'echo', '--token', 'wrong'], /This token is not valid here/],
    ['an unknown agent', ['--agent', 'nobody', '--token', 'secret'], /There is no agent "nobody"/],
    ['no agent', [], /required option '--agent <id>'/],
    [
      'a wrong path',
      ['--agent', 'echo', '--url', 'http://127.0.0.1:1/ws'],
      /No gateway answers at http:\/\/127/,
    ],
    ['a URL that is none', ['--agent', 'echo', '--url', 'here'], /--url is "here": write it as http/],
    ['a URL of another kind', ['--agent', 'echo', '--url', 'ftp://a'], /--url is "ftp:\/\/a"/],
  ])('what was asked wrongly is one sentence, and exit code 2: %s', async (_what, args, sentence) => {
    const chat = startChat(server.url, args);
    chat.type('hi');
    expect(await chat.ended).toBe(2);
    expect(chat.errors).toMatch(sentence);
    expect(chat.errors.trim().split('\n')).toHaveLength(1);
    expect(chat.output).toBe('');
  });
});

describe('an agent that asks for an approval', () => {
  const BUY = 'I can do that: buy. May I? \n[allow run_errand {"what":"buy"}? y/n]\n';
  let server: ServerProcess;
  beforeAll(async () => {
    server = await startServer({ store: 'memory' });
  });
  afterAll(() => server.kill());

  /** Talks to the clerk until the input ends. */
  async function say(lines: readonly string[], session?: string): Promise<Chat> {
    const chat = startChat(server.url, [
      '--agent',
      'clerk',
      ...(session === undefined ? [] : ['--session', session]),
    ]);
    for (const line of lines) chat.type(line);
    chat.end();
    expect(await chat.ended).toBe(0);
    return chat;
  }

  /** A session whose question nobody has answered. */
  async function ask(): Promise<string> {
    const { errors } = await say(['buy']);
    return /--session (\S+)/.exec(errors)?.[1] ?? '';
  }

  async function viewerOf(sessionId: string): Promise<GatewayClient> {
    const viewer = new GatewayClient({ url: server.url, agentId: 'clerk', clientId: 'ann' });
    onTestFinished(() => viewer.disconnect());
    await viewer.resume({ sessionId, cursor: 0 });
    return viewer;
  }

  it.each([
    ['y', 'Done: buy.'],
    ['Yes', 'Done: buy.'],
    ['n', 'Then I leave it.'],
    ['no', 'Then I leave it.'],
  ])('G-19 takes the next line for the answer: %s', async (line, end) => {
    const { output, errors } = await say(['buy', line]);
    expect(output).toBe(`${BUY}${end}\n`);
    expect(errors).toBe('');
  });

  it('is not waited for at the end of the input: what waits is said, and how it is answered later', async () => {
    const { output, errors } = await say(['buy']);
    expect(output).toBe(BUY);
    const [sentence, session = ''] =
      /^continuo: run_errand {"what":"buy"} waits for a yes or no: continuo chat --agent clerk --url \S+ --session (\S+)\n$/.exec(
        errors,
      ) ?? [];
    expect(sentence).toBe(errors);
    const later = await say(['y', 'sell', 'n'], session);
    expect(later.output).toBe(`${BUY}Done: buy.\n${BUY.replaceAll('buy', 'sell')}Then I leave it.\n`);
    expect(later.errors).toBe('');
    expect((await say([], session)).errors).toBe('');
  });

  it('takes any other line for a message, and asks the same question again', async () => {
    const { output, errors } = await say(['buy', 'sell', 'y', 'n']);
    const question = '[allow run_errand {"what":"buy"}? y/n]';
    expect(output.split('\n')).toEqual([
      'I can do that: buy. May I? ',
      question,
      'I can do that: sell. May I? ',
      question,
      'Done: buy.',
      question.replace('buy', 'sell'),
      'Then I leave it.',
      '',
    ]);
    expect(errors).toBe('');
  });

  it('says that somebody else answered, and goes on', async () => {
    const session = await ask();
    const chat = startChat(server.url, ['--agent', 'clerk', '--session', session]);
    await until('it asks', 10_000, () => chat.output === BUY);
    const viewer = await viewerOf(session);
    await viewer.approve(viewer.pending[0]?.approval_id ?? '', false);
    await until('it goes on', 10_000, () => chat.output.endsWith('leave it.\n'));
    expect(chat.output).toBe(`${BUY}Then I leave it.\n`);
    expect(chat.errors).toBe('continuo: ann refused it\n');
    chat.type('y');
    chat.type('y');
    chat.end();
    expect(await chat.ended).toBe(0);
    expect(chat.output).toMatch(/leave it\.\nI can do that: y\. .*\n\[allow .*\]\nDone: y\.\n$/);
  });

  it('G-19 says who was first when an answer came too late, and goes on with that', async () => {
    const session = await ask();
    const proxy = await startProxy();
    onTestFinished(() => proxy.close());
    proxy.setTargets([server.port]);
    const chat = startChat(`http://127.0.0.1:${proxy.port}`, ['--agent', 'clerk', '--session', session]);
    await until('it asks', 10_000, () => chat.output === BUY);
    proxy.setTargets([]);
    proxy.connections[0]?.cut();
    await until('it is cut off', 10_000, () => chat.errors.includes('is lost'));
    const viewer = await viewerOf(session);
    await viewer.approve(viewer.pending[0]?.approval_id ?? '', true);
    chat.type('n');
    chat.end();
    await sleep(300); // the line is read; the answer has no way yet
    proxy.setTargets([server.port]);
    expect(await chat.ended).toBe(0);
    expect(chat.output).toBe(`${BUY}Done: buy.\n`);
    expect(chat.errors).toMatch(/^continuo: ann was first and allowed it$/m);
    expect(chat.errors).not.toContain('waits');
  });
});

describe('a gateway that is not there', () => {
  it('is said within a second', async () => {
    const url = `http://127.0.0.1:${await freePort()}`;
    const startedAt = Date.now();
    const chat = startChat(url, ['--agent', 'echo']);
    expect(await chat.ended).toBe(2);
    expect(Date.now() - startedAt).toBeLessThan(1_000);
    expect(chat.errors).toBe(
      `continuo: No gateway answers at ${url}: start one with continuo serve, or wait for it with --wait.\n`,
    );
  });

  it('is waited for with --wait', async () => {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const chat = startChat(url, ['--agent', 'echo', '--wait']);
    chat.type('hi');
    chat.end();
    await until('it waits', 10_000, () => chat.errors === `continuo: waiting for ${url}\n`);
    const server = await startServer({ store: 'memory', port });
    expect(await chat.ended).toBe(0);
    expect(chat.output).toBe('echo: hi\n');
    await server.kill();
  });
});

describe('a server that is killed in the middle of an answer and started again', () => {
  const WORDS = Array.from({ length: 60 }, (_, index) => `word${index + 1} `);
  let config: string;
  beforeAll(() => {
    const project = join(folder, 'project');
    mkdirSync(project);
    symlinkSync(fileURLToPath(new URL('../../node_modules', import.meta.url)), join(project, 'node_modules'));
    config = join(project, 'continuo.config.mjs');
    writeFileSync(
      config,
      `import { defineConfig } from 'continuo';
       const teller = {
         kind: 'agent', id: 'teller', name: 'Teller', deltaJoinMs: 0,
         async *run({ sleep }) {
           for (let word = 1; word <= ${WORDS.length}; word++) {
             yield { type: 'text.delta', text: \`word\${word} \` };
             await sleep(50);
           }
         },
       };
       export default defineConfig({ agents: [teller, { ...teller, id: 'again', onInterrupt: 'restart' }] });`,
    );
  });

  async function killInTheMiddle(agent: string): Promise<Chat> {
    const store = `sqlite:${join(folder, `${agent}.db`)}`;
    const args = ['--config', config];
    const first = await startServer({ store, args });
    const chat = startChat(first.url, ['--agent', agent]);
    chat.type('tell');
    chat.end();
    await until('it tells', 10_000, () => chat.output.includes('word15 '));
    await first.kill();
    const second = await startServer({ store, port: first.port, args });
    onTestFinished(() => second.kill());
    expect(await chat.ended).toBe(0);
    return chat;
  }

  it('an agent that starts over: the whole text is there, once', async () => {
    const chat = await killInTheMiddle('again');
    expect(chat.output).toBe(`${WORDS.join('')}\n`);
    expect(chat.errors).toBe('continuo: the connection is lost: coming back\ncontinuo: back\n');
  });

  it('an agent that does not: what it had said is there, once, and that it was interrupted', async () => {
    const chat = await killInTheMiddle('teller');
    const [said = '', end = ''] = chat.output.split('\n');
    expect(said).toBe(WORDS.slice(0, said.split(' ').length - 1).join(''));
    expect(said.length).toBeGreaterThan(WORDS.slice(0, 14).join('').length);
    expect(end).toMatch(/^\[interrupted/);
  });
});
