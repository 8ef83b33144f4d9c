import type { AgentOutput, Component, RunContext } from '@continuo/protocol';
import { createSeededRandom, type SeededRandom } from '@continuo/testing';
import { expect, it } from 'vitest';
import { createRunWorld, type RunWorld } from '../test/context.ts';
import { MemberError } from './failure.ts';
import { ModelError } from './model-error.ts';
import { createTeam } from './team.ts';
import { addUsed, UNUSED, type Used } from './used.ts';
import { defineWorkflow } from './workflow.ts';
import { condition, loop, parallel, step, type WorkflowStep } from './workflow-step.ts';

const SEEDS = 120;
const MAX_CRASHES = 6;

interface Plan {
  readonly component: Component;
  /** Called with the run of a member that begins to work. */
  watch: (runId: string) => void;
}

/** Workflows, teams and members within each other, the same for the same seed. */
function planOf(random: SeededRandom): Plan {
  const plan: { component: Component; watch: (runId: string) => void } = {
    component: { kind: 'agent', id: 'none', name: 'None', run: async function* () {} },
    watch: () => {},
  };
  let count = 0;
  const nextId = (): string => `n${++count}`;

  function agent(id: string, questions: number): Component {
    const fails = random.int(0, 11) === 0;
    return {
      kind: 'agent',
      id,
      name: id,
      async *run(context: RunContext) {
        const { approvals, continues, input, sleep, runId } = context;
        plan.watch(runId);
        const answers = approvals.filter(({ answer }) => answer !== null).length;
        for (let part = continues ? answers : 0; part <= answers; part++) {
          yield { type: 'text.delta', text: `${part}${id}` };
          yield { type: 'usage', inputTokens: 1, outputTokens: 10 };
          yield { type: 'tool.started', callId: `t${part}`, name: 'look' };
          await sleep(String(input).length % 7);
        }
        if (approvals.length > answers) return;
        if (fails && answers === 0) throw new ModelError(`${id} cannot.`);
        if (answers >= questions) return;
        yield { type: 'approval.requested', callId: `q${answers}`, name: 'ask', args: {} };
      },
    };
  }

  function member(depth: number): Component {
    const id = nextId();
    const kind = random.int(0, depth < 3 ? 4 : 1);
    if (kind <= 1) return agent(id, Math.max(0, random.int(-2, 2)));
    if (kind <= 3) {
      const members = Array.from({ length: random.int(1, 3) }, () => member(depth + 1));
      return createTeam({ id, name: id, mode: 'broadcast', members }, { env: {}, now: () => 0 });
    }
    return defineWorkflow({ id, name: id, steps: steps(depth + 1, 2) });
  }

  function steps(depth: number, nesting: number): readonly WorkflowStep[] {
    return Array.from({ length: random.int(1, 3) }, () => part(depth, nesting));
  }

  function part(depth: number, nesting: number): WorkflowStep {
    const name = nextId();
    switch (random.int(0, nesting > 0 ? 5 : 2)) {
      case 3:
        return parallel(name, steps(depth, nesting - 1));
      case 4: {
        const holds = random.int(0, 1) === 1;
        return condition(name, () => holds, steps(depth, nesting - 1), steps(depth, nesting - 1));
      }
      case 5: {
        const rounds = random.int(1, 2);
        return loop(name, steps(depth, nesting - 1), {
          until: (_content, round) => round === rounds,
          maxRounds: 3,
        });
      }
      case 0: {
        const fails = random.int(0, 11) === 0;
        return step(name, (input) => {
          if (fails) throw new ModelError(`${name} cannot.`);
          return `${name}<${String(input).length}>`;
        });
      }
      default:
        return step(name, member(depth));
    }
  }

  plan.component = defineWorkflow({ id: 'w', name: 'W', steps: steps(1, 2) });
  return plan;
}

/** Reads a run until it returns, or `cut` says that its server dies. `false`: it was cut. */
async function read(
  world: RunWorld,
  outputs: AsyncIterator<AgentOutput>,
  take: (event: AgentOutput) => boolean,
): Promise<boolean> {
  for (;;) {
    let settled = false;
    const asked = outputs.next().finally(() => {
      settled = true;
    });
    asked.catch(() => {}); // awaited below
    while (!settled) {
      await world.clock.settle();
      if (!settled) await world.clock.step();
    }
    const given = await asked;
    if (given.done) return true;
    if (take(given.value)) continue;
    await outputs.return?.();
    return false;
  }
}

/** What one attempt may show, over its pauses. */
function createAttempt(): {
  readonly used: Used;
  take(event: AgentOutput): void;
  end(hasFailed: boolean): void;
} {
  let used = UNUSED;
  const begun = new Set<string>();
  const ended = new Set<string>();
  const failed = new Set<string>();
  const steps = new Map<string, string>();
  return {
    get used() {
      return used;
    },
    take(event) {
      used = addUsed(used, event);
      const runId = event.by?.runId ?? 'run_1';
      expect(ended, `after the end of ${runId}: ${event.type}`).not.toContain(runId);
      if (event.type === 'run.started') {
        expect(begun, 'one start').not.toContain(runId);
        begun.add(runId);
        return;
      }
      if (event.by) expect(begun, `before the start: ${event.type}`).toContain(runId);
      if (event.type === 'run.ended') {
        ended.add(runId);
        if (event.status === 'failed') failed.add(runId);
      }
      if (event.type !== 'step.started' && event.type !== 'step.completed') return;
      const key = `${runId} ${event.index}`;
      if (event.type === 'step.started') {
        expect([...steps.keys()], 'one start of an index').not.toContain(key);
        steps.set(key, event.step);
      } else {
        expect(steps.get(key), 'its own start').toBe(event.step);
        steps.set(key, '');
      }
    },
    end(hasFailed) {
      expect([...ended].toSorted()).toEqual([...begun].toSorted());
      if (hasFailed) failed.add('run_1');
      const open = [...steps].filter(([key, name]) => name !== '' && !failed.has(key.split(' ')[0] ?? ''));
      expect(open, 'a step that began has its end, where its workflow did not fail').toEqual([]);
    },
  };
}

/** Plays a run to its end, over its questions and `crashes` deaths of its server. Gives its text and what it took. */
async function play(seed: number, crashes: number): Promise<object> {
  const plan = planOf(createSeededRandom(seed));
  const fate = createSeededRandom(seed + 1_000_000);
  const world = createRunWorld();
  let left = crashes;
  let attempt = 1;
  let shows = createAttempt();
  let text = '';
  let continues = false;
  plan.watch = (runId) => {
    const finished = [...world.stored.keys()].filter((key) => key.endsWith(`member:${runId}`));
    expect(finished, 'a finished member is not run again').toEqual([]);
  };
  for (let drives = 0; drives < 200; drives++) {
    const context = {
      ...world.context(),
      attempt,
      continues,
      limits: { ...world.context().limits, depth: 9 },
    };
    const outputs = plan.component.run(context)[Symbol.asyncIterator]();
    let failure: string | null = null;
    const returned = await read(world, outputs, (event) => {
      shows.take(event);
      if (event.type === 'text.completed' && !event.by) text = event.text;
      if (event.type === 'approval.requested') {
        const { callId, name, by } = event;
        const asked = { approvalId: `apr_${world.approvals.length}`, callId, name, runId: by?.runId ?? '' };
        world.approvals.push({ ...asked, requestedAt: 0, expiresAt: 1, answer: null });
      }
      if (left === 0 || fate.int(0, 12) > 0) return true;
      left--;
      return false;
    }).catch((error: unknown) => {
      if (!(error instanceof MemberError)) throw error;
      failure = error.message;
      return true;
    });
    if (!returned) {
      attempt++;
      shows = createAttempt();
      continues = false;
      continue;
    }
    const open = world.approvals.findIndex(({ answer }) => answer === null);
    if (open < 0) {
      shows.end(failure !== null);
      return { text, failure, used: shows.used };
    }
    expect(failure, 'nothing fails while a question is open').toBeNull();
    for (const [index, asked] of world.approvals.entries()) {
      world.approvals[index] = { ...asked, answer: { approved: true, by: 'ann' } };
    }
    continues = true;
  }
  throw new Error('it came to no end');
}

it(`R-22 whatever is within what, wherever a server dies and whoever asks: the same text and cost, nothing twice (${SEEDS} seeds)`, async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    try {
      expect(await play(seed, MAX_CRASHES)).toEqual(await play(seed, 0));
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
});
