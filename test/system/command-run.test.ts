import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { RunClient } from '@continuo/client';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { type ServerProcess, startServer } from './server-process.ts';
import { until } from './waiting.ts';

/** `continuo run` as it is shipped, through pipes, against the shipped server. */

const COMMAND = fileURLToPath(new URL('../../packages/cli/bin/continuo.js', import.meta.url));
/** What does not end by itself has not ended after this, in ms. */
const END_MS = 15_000;
const NOWHERE = 'http://127.0.0.1:1';

interface Command {
  readonly child: ChildProcessWithoutNullStreams;
  readonly output: string;
  readonly errors: string;
  /** Resolves with the exit code; rejects where the process stays. */
  ended(): Promise<number | null>;
}

let server: ServerProcess;
beforeAll(async () => {
  server = await startServer({ store: 'memory' });
});
afterAll(() => server.kill());

function start(args: readonly string[], url = server.url): Command {
  const child = spawn(process.execPath, [COMMAND, 'run', ...args, '--url', url], {
    env: { ...process.env, NODE_OPTIONS: '', CONTINUO_URL: '', CONTINUO_TOKEN: '' },
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let output = '';
  let errors = '';
  let code: number | null | undefined;
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  child.once('close', (exit) => {
    code = exit;
  });
  return {
    child,
    get output() {
      return output;
    },
    get errors() {
      return errors;
    },
    async ended() {
      await until('the command ends', END_MS, () => code !== undefined);
      return code ?? null;
    },
  };
}

const runOf = ({ errors }: Command): string => /run (run_\S+?)\./.exec(errors)?.[1] ?? '';

/** Starts a run and waits for the command's words about it. */
async function startRun(args: readonly string[], says: RegExp): Promise<Command> {
  const command = start(args);
  await until(`it says ${says}`, END_MS, () => says.test(command.errors + command.output));
  return command;
}

describe('continuo run', () => {
  it('shows what an agent says, and ends with 0', async () => {
    const command = start(['one two', '--agent', 'echo']);
    expect(await command.ended()).toBe(0);
    expect(command.output).toBe('echo: one two\n');
    expect(command.errors).toMatch(/^continuo: run run_\S+\. Ctrl-C leaves it, back with: .*\n$/);
  });

  it('has the words of members, and their tree, beside those of a team', async () => {
    const command = start(['a knight', '--team', 'story-team']);
    expect(await command.ended()).toBe(0);
    expect(command.errors).toMatch(/^ {2}\+ (\S.*)\n(.*\n)* {2}\1 \| \S/m);
    expect(command.errors).toMatch(/^story-team: completed\n( {2,}\S.*: completed\n)+$/m);
    expect(command.output).not.toContain(' | ');
  });

  it('prints the events with --json, a line each, and from an index on', async () => {
    const whole = start(['one two', '--agent', 'echo', '--json']);
    expect(await whole.ended()).toBe(0);
    const lines = whole.output.trim().split('\n');
    const events = lines.map((line): { event_index: number; run_id: string } => JSON.parse(line));
    expect(events.map((event) => event.event_index)).toEqual(events.map((_event, index) => index));
    const rest = start(['attach', events[0]?.run_id ?? '', '--after', '1', '--json']);
    expect(await rest.ended()).toBe(0);
    expect(rest.output.trim().split('\n')).toEqual(lines.slice(2));
  });

  it.each([0, 1_000])(
    'shows a run that ended before what was asked for: %i beyond its end',
    async (beyond) => {
      const whole = start(['one two', '--agent', 'echo', '--json']);
      expect(await whole.ended()).toBe(0);
      const [first = '', ...rest] = whole.output.trim().split('\n');
      const { run_id }: { run_id: string } = JSON.parse(first);
      const again = start(['attach', run_id, '--after', String(rest.length + beyond)]);
      expect(await again.ended()).toBe(0);
      expect(again.output).toBe('echo: one two\n');
    },
  );

  it('is left by Ctrl-C with 130, found again, and cancelled from elsewhere', async () => {
    const command = await startRun(['a story', '--agent', 'storyteller'], /\w+ \w+ \w+/);
    await until('it tells', END_MS, () => command.output.length > 20);
    command.child.kill('SIGINT');
    expect(await command.ended()).toBe(130);
    const back = /Back: continuo run attach (\S+) --after (\d+)/.exec(command.errors);
    expect(back?.[1]).toBe(runOf(command));
    const again = start(['attach', back?.[1] ?? '', '--after', back?.[2] ?? '']);
    await until('it tells on', END_MS, () => again.output.length > 20);
    const cancelled = start(['cancel', runOf(command)]);
    expect(await cancelled.ended()).toBe(0);
    expect(await again.ended()).toBe(1);
    expect(again.errors).toContain('[cancelled: cancelled in the terminal]');
    expect(command.output.slice(0, 20)).not.toBe(again.output.slice(0, 20));
  });

  it('comes back to a gateway that went before the first event of a run', async () => {
    const whose = { run_id: 'run_x', session_id: 'ses_x', agent_id: 'late', agent_name: 'Late' };
    let says = '';
    let readers = 0;
    const gateway = createServer(({ url }, response) => {
      if (url === '/runs/run_x') {
        response.end(JSON.stringify({ ...whose, kind: 'agent', status: 'PENDING' }));
        return;
      }
      readers++;
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(`: heartbeat\n\n${says}`);
    });
    onTestFinished(() => {
      gateway.close();
      gateway.closeAllConnections();
    });
    await once(gateway.listen(0, '127.0.0.1'), 'listening');
    const address = gateway.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    const command = start(['attach', 'run_x'], `http://127.0.0.1:${port}`);
    await until('it reads', END_MS, () => readers > 0);
    gateway.close();
    gateway.closeAllConnections();
    await until('it knows', END_MS, () => command.errors.includes('coming back'));
    const end = { ...whose, event: 'RunCompleted', event_index: 0, created_at: 1, content: 'at last' };
    says = `event: RunCompleted\nid: 0\ndata: ${JSON.stringify(end)}\n\n`;
    await once(gateway.listen(port, '127.0.0.1'), 'listening');
    expect(await command.ended()).toBe(0);
    expect(command.output).toBe('at last\n');
    expect(command.errors).toBe('continuo: the connection is lost: coming back\ncontinuo: back\n');
  });

  it('R-16 puts a question, also to who comes back after it, and goes on when somebody answers', async () => {
    const asks = /reserve_trip {"to":"Porto","nights":1} waits for an answer: .*\/approvals\/(\S+) /;
    const command = await startRun(['Porto', '--agent', 'reserver'], asks);
    expect(command.output).toBe('I can reserve Porto for 1 night.');
    command.child.kill('SIGINT');
    expect(await command.ended()).toBe(130);
    const after = /--after (\d+)/.exec(command.errors)?.[1] ?? '';
    const again = await startRun(['attach', runOf(command), '--after', after], asks);
    const approvalId = asks.exec(again.errors)?.[1] ?? '';
    await new RunClient({ url: server.url }).approve(approvalId);
    expect(await again.ended()).toBe(0);
    expect(again.output).toContain('Reserved: ');
  });

  it('does not end where only its words beside are not read any more', async () => {
    const command = start(['one two', '--agent', 'echo']);
    command.child.stderr.destroy();
    expect(await command.ended()).toBe(0);
    expect(command.output).toBe('echo: one two\n');
  });

  it('ends where nobody reads it any more', async () => {
    const command = await startRun(['a story', '--agent', 'storyteller'], /\w+ \w+ \w+/);
    command.child.stdout.destroy();
    command.child.stderr.destroy();
    expect(await command.ended()).toBe(130);
  });

  it.each([
    ['run', ['hi', '--agent', 'echo']],
    ['attach', ['attach', 'run_x']],
    ['cancel', ['cancel', 'run_x']],
  ])('says in a sentence that there is no gateway, with 2: %s', async (_name, args) => {
    const command = start(args, NOWHERE);
    expect(await command.ended()).toBe(2);
    expect(command.errors).toContain(`No gateway answers at ${NOWHERE}: start one with continuo serve.\n`);
  });

  it.each([
    ['an unknown run', ['attach', 'run_x'], /Run not found/],
    ['an unknown agent', ['hi', '--agent', 'nobody'], /nobody|not found/i],
    ['nothing to run', ['hi'], /one of --agent ID, --team ID and --workflow ID/],
    ['nothing to say', ['', '--agent', 'echo'], /message must not be empty/],
    ['an index that is none', ['attach', 'run_x', '--after', '-5'], /whole number, -1 or more/],
    ['an id that is none', ['attach', '..'], /runId must not be \.\./],
  ])('refuses %s in a sentence, with 2', async (_what, args, sentence) => {
    const command = start(args);
    expect(await command.ended()).toBe(2);
    expect(command.errors).toMatch(sentence);
    expect(command.output).toBe('');
  });
});
