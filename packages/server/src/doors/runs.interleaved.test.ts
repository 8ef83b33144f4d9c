import { type Component, RunAccepted } from '@continuo/protocol';
import { createSeededRandom } from '@continuo/testing';
import { describe, expect, it } from 'vitest';
import { openGateway, type TestGateway } from '../../test/gateway.ts';
import { createLife, type Life } from '../../test/life.ts';
import { only } from '../../test/pick.ts';
import { endsOf, type RunViewer, watchRun } from '../../test/run-viewer.ts';

const SEEDS = 40;

/** Works for some seconds, asks twice on its way, and says what it does. */
function worker(onInterrupt: 'end' | 'restart'): Component {
  return {
    kind: 'agent',
    id: 'worker',
    name: 'Worker',
    deltaJoinMs: 0,
    onInterrupt,
    async *run({ approvals, sleep, continues }) {
      const before = continues ? approvals.length : 0;
      for (let step = before * 5; step < 15; step++) {
        yield { type: 'text.delta', text: `${step} ` };
        await sleep(100);
        if (step % 5 === 4 && step < 14) {
          const callId = `c${Math.floor(step / 5)}`;
          const known = approvals.find((approval) => approval.callId === callId);
          if (known?.answer) continue;
          yield { type: 'approval.requested', callId, name: 'go', args: { step } };
          return;
        }
      }
    },
  };
}

interface Played {
  readonly viewers: readonly RunViewer[];
  /** What happened, for whoever reads of a failure. */
  readonly story: readonly string[];
  readonly answers: readonly number[];
  readonly world: TestGateway;
  readonly runId: string;
}

async function play(seed: number): Promise<Played> {
  const random = createSeededRandom(seed);
  const component = worker(random.chance(0.5) ? 'restart' : 'end');
  const lives: Life[] = [];
  const mortal = openGateway({
    agents: [component],
    within(clock, store) {
      const life = createLife(clock, store);
      lives.push(life);
      return life;
    },
  });
  const heir = openGateway({ beside: mortal, agents: [component] });
  const { clock } = mortal;
  const story: string[] = [];
  const answers: number[] = [];
  const asking: Promise<void>[] = [];
  let alive: TestGateway[] = [mortal, heir];
  const someone = (): TestGateway => random.pick(alive) ?? heir;

  const started = await mortal.post('/agents/worker/runs', {
    message: 'go',
    stream: false,
    background: true,
    session_id: 's1',
  });
  const { run_id: runId } = RunAccepted.parse(started.body);
  const path = `/agents/worker/runs/${runId}`;
  const viewers = [watchRun(mortal, path, 'resume')];

  function ask(world: TestGateway, below: string, body: object): void {
    const asked = world.ask('POST', path + below, { body });
    asking.push(
      (async () => {
        for (let turns = 0; turns < 2_000 && !asked.answered && alive.includes(world); turns++)
          await clock.settle();
        if (asked.answered) answers.push((await asked.stream()).status); // its body may never end
      })(),
    );
  }
  const approve = (confirmed: boolean): void => {
    const calls = [0, 1].map((number) => ({ tool_call_id: `c${number}`, confirmed }));
    for (const tool of calls) {
      const how = random.chance(0.5) ? { stream: false, background: true } : { background: true };
      ask(someone(), '/continue', { tools: [tool], ...how });
    }
  };
  const acts: Readonly<Record<string, () => void>> = {
    cancel: () => ask(someone(), '/cancel', {}),
    approve: () => approve(true),
    deny: () => approve(false),
    'answer both ways': () => {
      approve(true);
      approve(false);
    },
    watch() {
      if (viewers.length < 6)
        viewers.push(watchRun(someone(), path, random.pick(['resume', 'events', 'poll'] as const)));
    },
    cut: () => random.pick(viewers)?.moveTo(someone()),
    crash() {
      if (alive.length === 1) return;
      only(lives).end();
      alive = [heir];
      for (const viewer of viewers) viewer.moveTo(heir);
    },
  };

  async function pass(ms: number): Promise<void> {
    for (let past = 0; past < ms; past += 50) {
      await clock.advance(50);
      for (const viewer of viewers) await viewer.look();
    }
  }

  for (let step = 0; step < 14; step++) {
    const dice = random.next();
    const name =
      dice < 0.08
        ? 'cancel'
        : dice < 0.35
          ? 'approve'
          : dice < 0.42
            ? 'deny'
            : dice < 0.5
              ? 'answer both ways'
              : dice < 0.7
                ? 'watch'
                : dice < 0.9
                  ? 'cut'
                  : 'crash';
    story.push(name);
    acts[name]?.();
    await pass(random.int(0, 8) * 50);
  }
  viewers.push(watchRun(heir, path, 'events')); // a late one, who reads all of it
  for (let rounds = 0; rounds < 12 && viewers.some(({ events }) => endsOf(events).length === 0); rounds++) {
    approve(true);
    await pass(2_000);
  }
  await pass(1_000);
  await Promise.all(asking);
  return { viewers, story, answers, world: heir, runId };
}

describe('everything at once', () => {
  const ends = new Set<string>();

  it.each(Array.from({ length: SEEDS }, (_, index) => index + 1))(
    'R-1, R-6, R-12, R-17 cancel, resume, approve, finish, crash and more viewers end in one event for all: seed %i',
    async (seed) => {
      const { viewers, story, answers, world, runId } = await play(seed);
      const [first, ...others] = viewers;
      const what = story.join(', ');
      expect(endsOf(first?.events ?? []), what).toHaveLength(1);
      expect(first?.events.at(-1), what).toEqual(endsOf(first?.events ?? [])[0]);
      for (const { events } of others) expect(events, what).toEqual(first?.events);
      const [head] = await world.store.logs.heads([`run:local:${runId}`]);
      expect([head?.ended, head?.offset], what).toEqual([true, first?.events.length]);
      for (const status of answers) expect([200, 202, 409], what).toContain(status);
      ends.add(String(first?.events.at(-1)?.event));
    },
  );

  it('and the seeds reach every end', () => {
    expect([...ends].toSorted()).toEqual(['RunCancelled', 'RunCompleted', 'RunError']);
  });
});
