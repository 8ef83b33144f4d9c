import { killRound } from '../test/system/kill.ts';

const ROUNDS = 20;
/** Rounds at once: a round mostly waits for a lease. */
const AT_ONCE = 4;

/** Twenty rounds of kill and restart, twenty of two servers on one file. Rejects at the first promise that is broken. */
export async function soakKill(): Promise<void> {
  for (const servers of [1, 2] as const) {
    const started = Date.now();
    const outcomes = new Map<string, number>();
    let events = 0;
    let slowest = 0;
    const seeds = Array.from({ length: ROUNDS }, (_, index) => servers * 1_000 + index);
    async function work(): Promise<void> {
      for (let seed = seeds.shift(); seed !== undefined; seed = seeds.shift()) {
        const report = await killRound({ seed, servers }).catch((error: unknown) => {
          throw new Error(`round ${seed}`, { cause: error });
        });
        events += report.events;
        slowest = Math.max(slowest, report.endedAfterMs);
        for (const outcome of report.outcomes) outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    const counted = [...outcomes].map(([outcome, count]) => `${outcome} ${count}`).join(', ');
    const what = servers === 1 ? 'killed and restarted' : 'one of two servers on one file killed';
    console.log(
      `${ROUNDS} rounds, ${what}: ${events} events on every viewer once and in order; ends: ${counted}; ` +
        `slowest end ${Math.round(slowest)} ms after the kill; ${Math.round((Date.now() - started) / 1000)} s`,
    );
  }
}
