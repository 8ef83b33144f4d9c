import { describe, expect, it } from 'vitest';
import { openGateway, type TestGateway } from '../../test/gateway.ts';
import { createLife, type Life } from '../../test/life.ts';
import { only, range } from '../../test/pick.ts';
import { createPuppet, type Puppet } from '../../test/puppet.ts';

/** Questions that outlive servers: a run asks, its server dies or closes, and somebody answers, or nobody does. */

const MINUTE_MS = 60_000;

interface Asked {
  readonly world: TestGateway;
  readonly life: Life;
  readonly runId: string;
  readonly approvalId: string;
  /** Another server, with the agent, on the same data. */
  heir(): { readonly world: TestGateway; readonly puppet: Puppet };
}

interface Output {
  readonly status: string;
  readonly error_type?: string;
  readonly events: readonly { readonly event: string; readonly error_type?: string }[];
}

/** A run that waits for an answer; it does so for a minute. */
async function asked(): Promise<Asked> {
  const puppet = createPuppet('puppet');
  const lives: Life[] = [];
  const world = openGateway({
    agents: [puppet.component],
    within(clock, store) {
      const life = createLife(clock, store);
      lives.push(life);
      return life;
    },
  });
  const { body } = await world.post('/agents/puppet/runs', {
    message: 'go',
    stream: false,
    background: true,
  });
  await world.clock.settle();
  const run = only(puppet.runs);
  run.say({ type: 'approval.requested', callId: 'c1', name: 'jump', args: 1, expiresInMs: MINUTE_MS });
  run.finish();
  await world.clock.advance(100);
  const approvals = (await world.get('/approvals')).body as { approval_id: string }[];
  return {
    world,
    life: only(lives),
    runId: (body as { run_id: string }).run_id,
    approvalId: only(approvals).approval_id,
    heir() {
      const next = createPuppet('puppet');
      return { world: openGateway({ agents: [next.component], beside: world }), puppet: next };
    },
  };
}

async function outputOf(world: TestGateway, runId: string): Promise<Output> {
  return (await world.get(`/agents/puppet/runs/${runId}`)).body as Output;
}

const namesOf = ({ events }: Output): string[] => events.map(({ event }) => event);
const ASKED = ['RunStarted', 'ApprovalRequested', 'RunPaused'];

describe('a question whose server is gone', () => {
  it.each([
    [
      'closed',
      async ({ world }: Asked) =>
        void (await Promise.all([world.gateway.close(), world.clock.advance(1_000)])),
    ],
    ['died', async ({ life }: Asked) => life.end()],
  ])('R-18 that was %s is answered on another, and the run goes on there', async (_how, leave) => {
    const before = await asked();
    await leave(before);
    const { world, puppet } = before.heir();
    expect((await world.get('/approvals')).body).toHaveLength(1);
    const { status } = await world.post(`/approvals/${before.approvalId}`, { approved: true, note: 'go' });
    expect(status).toBe(200);
    await world.clock.advance(11_000);
    const run = only(puppet.runs);
    expect(run.context).toMatchObject({
      continues: true,
      approvals: [{ callId: 'c1', args: 1, answer: { approved: true, note: 'go', by: 'local' } }],
    });
    run.finish();
    await world.clock.advance(1_000);
    const output = await outputOf(world, before.runId);
    expect(output.status).toBe('COMPLETED');
    expect(namesOf(output)).toEqual([...ASKED, 'ApprovalResolved', 'RunContinued', 'RunCompleted']);
  });

  it.each([
    ['ten minutes', 10 * MINUTE_MS],
    ['three days', 3 * 24 * 60 * MINUTE_MS],
  ])(
    'R-18 expires though all servers were down at the time, for %s, and its run ends',
    async (_how, downMs) => {
      const before = await asked();
      before.life.end();
      await before.world.clock.advance(downMs);
      const { world, puppet } = before.heir();
      await world.clock.advance(11_000);
      expect(puppet.runs).toEqual([]);
      const output = await outputOf(world, before.runId);
      expect(output).toMatchObject({ status: 'ERROR', error_type: 'approval_expired' });
      expect(namesOf(output)).toEqual([...ASKED, 'ApprovalResolved', 'RunError']);
      expect((await world.get('/approvals')).body).toEqual([]);
      expect((await world.get('/approvals?status=expired')).body).toHaveLength(1);
    },
  );

  it('R-18 keeps an answer that came just before its time was over, though it is told later', async () => {
    const before = await asked();
    const { world: first, runId, approvalId, life } = before;
    await first.clock.advance(MINUTE_MS - 200);
    const key = `approval/local/${approvalId}`;
    const record = await first.store.records.get(key);
    expect(record?.value).toMatchObject({ answer: null });
    first.post(`/approvals/${approvalId}`, { approved: true }).catch(() => {}); // it never learns
    for (let turns = 0; turns < 100 && !(await isAnswered(first, key)); turns++) await Promise.resolve();
    expect(await isAnswered(first, key)).toBe(true);
    life.end(); // the answer is stored, and nobody was told
    await first.clock.advance(10 * MINUTE_MS);
    const { world, puppet } = before.heir();
    await world.clock.advance(11_000);
    only(puppet.runs).finish();
    await world.clock.advance(1_000);
    const output = await outputOf(world, runId);
    expect(output.status).toBe('COMPLETED');
    expect(namesOf(output)).toEqual([...ASKED, 'ApprovalResolved', 'RunContinued', 'RunCompleted']);
  });
});

async function isAnswered({ store }: TestGateway, key: string): Promise<boolean> {
  const stored = await store.records.get(key);
  return (stored?.value as { answer?: unknown } | undefined)?.answer !== null;
}

describe('a question that nobody answers', () => {
  it('R-18 ends its run when its time is over, on time, and once', async () => {
    const { world, runId, heir } = await asked();
    const other = heir();
    await world.clock.advance(MINUTE_MS - 200);
    expect(await outputOf(world, runId)).toMatchObject({ status: 'PAUSED' });
    await world.clock.advance(3_000);
    const output = await outputOf(other.world, runId);
    expect(output).toMatchObject({ status: 'ERROR', error_type: 'approval_expired' });
    expect(namesOf(output).filter((name) => name === 'RunError')).toHaveLength(1);
    expect(output.events.at(-1)).toMatchObject({
      error_type: 'approval_expired',
      content: expect.stringContaining('jump'),
    });
  });
});

describe('answers over two servers at once', () => {
  it('R-18 one gets 200, the other 409 with it, and the run goes on once', async () => {
    for (const trial of range(1, 20)) {
      const before = await asked();
      const { world } = before.heir();
      const path = `/approvals/${before.approvalId}`;
      const answers = await Promise.all([
        before.world.post(path, { approved: trial % 2 === 0 }),
        world.post(path, { approved: true }),
      ]);
      expect(answers.map(({ status }) => status).sort((a, b) => a - b)).toEqual([200, 409]);
      const won = only(answers.filter(({ status }) => status === 200));
      const lost = only(answers.filter(({ status }) => status === 409));
      const approved = (won.body as { status: string }).status === 'approved';
      expect(lost.body).toMatchObject({ approval_id: before.approvalId, approved, resolved_by: 'local' });
      await world.clock.advance(2_000);
      const names = namesOf(await outputOf(world, before.runId));
      expect(names).toEqual([...ASKED, 'ApprovalResolved', 'RunContinued']);
    }
  });
});
