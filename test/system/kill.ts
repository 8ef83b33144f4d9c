import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createSeededRandom } from '@continuo/testing';
import { startProxy } from './proxy.ts';
import { checkRun, readRun } from './run-reader.ts';
import { type ServerProcess, startServer } from './server-process.ts';
import { checkEvents, finalsOf, type Viewer, watch } from './viewer.ts';
import { until } from './waiting.ts';

/** Two leases: what a turn or run may take to its end after its server died. */
const TWO_LEASES_MS = 10_000;

export interface KillRound {
  readonly seed: number;
  /** Two processes share the file and one is killed; else the one that is killed is started again. */
  readonly servers: 1 | 2;
}

export interface KillReport {
  readonly events: number;
  /** From the kill to the last terminal entry, in ms. */
  readonly endedAfterMs: number;
  readonly outcomes: readonly string[];
}

/**
 * A turn, a queued turn and a team's run are under way when their server is killed. Rejects when anything that was
 * promised does not hold.
 */
export async function killRound({ seed, servers }: KillRound): Promise<KillReport> {
  const random = createSeededRandom(seed);
  const folder = mkdtempSync(join(tmpdir(), 'continuo-kill-'));
  const store = `sqlite:${join(folder, 'store.db')}`;
  const running: ServerProcess[] = [];
  const proxy = await startProxy();
  const retarget = (): void => proxy.setTargets(running.map((server) => server.port));
  const viewers: Viewer[] = [];
  try {
    for (let index = 0; index < servers; index++) running.push(await startServer({ store }));
    retarget();
    const url = `ws://127.0.0.1:${proxy.port}`;
    const backoff = { initialMs: 100, maxMs: 1_000 };

    const first = watch({ url, agentId: 'storyteller', backoff });
    viewers.push(first);
    await first.client.connect();
    const driverPort = proxy.connections[0]?.targetPort;
    const asked = [await first.client.send(`a story of ${seed}`), await first.client.send('and another')];
    const { sessionId } = first.client;
    if (sessionId === null) throw new Error('joined without a session');
    const second = watch({ url, agentId: 'storyteller', backoff });
    viewers.push(second);
    await second.client.resume({ sessionId, cursor: 0 });
    const http = `http://127.0.0.1:${proxy.port}`;
    const run = readRun({ url: http, path: 'teams/story-team', message: `a story of ${seed}` });
    await until('the run streams', 5_000, () => run.events.length > 3);

    // In mid-turn and mid-run, anywhere. The server that took the first message drives its turn: that one dies.
    await sleep(random.int(200, 5_000));
    const victim = running.find((server) => server.port === driverPort);
    if (!victim) throw new Error('there is no server to kill');
    const killedAt = Date.now();
    await victim.kill();
    running.splice(running.indexOf(victim), 1);
    retarget();
    await sleep(random.int(0, 800));
    if (servers === 1) running.push(await startServer({ store }));
    retarget();

    const all = (viewer: Viewer): boolean => finalsOf(viewer.events).length >= asked.length;
    await Promise.all([
      until('every turn ends for every viewer', 40_000, () => viewers.every(all)),
      Promise.race([
        run.ended,
        sleep(40_000).then(() => Promise.reject(new Error('the run has not ended within 40 s'))),
      ]),
    ]);

    // What a viewer that comes now is told is all there is.
    const late = watch({ url, agentId: 'storyteller' });
    viewers.push(late);
    await late.client.resume({ sessionId, cursor: 0 });
    await until('a late viewer has it all', 5_000, () => late.events.length >= first.events.length);
    const whole = checkEvents(late.events);
    for (const viewer of [first, second]) {
      if (viewer.gaps > 0) throw new Error(`G-12: onGap was called ${viewer.gaps} times`);
      if (checkEvents(viewer.events).join() !== whole.join())
        throw new Error('G-17: two viewers saw different events');
    }
    const finals = finalsOf(late.events);
    if (finals.map((final) => final.messageId).join() !== asked.join()) {
      throw new Error(`G-9: ${finals.length} ends for ${asked.length} messages, or out of order`);
    }
    checkRun(run.events);
    const again = readRun({ url: http, path: 'teams/story-team', runId: run.runId ?? '' });
    await again.ended;
    checkRun(again.events);
    if (JSON.stringify(again.events) !== JSON.stringify(run.events))
      throw new Error('R-7: a replay differs from the stream');

    const interrupted = finals.filter((final) => final.outcome === 'interrupted');
    const interruptedEnds = interrupted.map((final) => final.at - killedAt);
    const runEnd = run.events.at(-1);
    if (runEnd?.error_type === 'interrupted')
      interruptedEnds.push(Number(runEnd.created_at) * 1000 + 999 - killedAt); // it says whole seconds
    const endedAfterMs = Math.max(0, ...interruptedEnds);
    if (endedAfterMs > TWO_LEASES_MS) throw new Error(`L-8: it ended ${endedAfterMs} ms after the kill`);
    return {
      events: whole.length + run.events.length,
      endedAfterMs,
      outcomes: [...finals.map((final) => final.outcome), String(runEnd?.event)],
    };
  } finally {
    for (const viewer of viewers) viewer.client.disconnect();
    await proxy.close();
    for (const server of running) await server.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}
