import { leaseRounds } from '../test/system/runs-leases.ts';

const ROUNDS = 200;
/** Pairs of servers at once: a round mostly waits for a lease. */
const PAIRS = 8;
const SEED = 20_261_120;

/** The driver of a run is killed or frozen while another server shares the file. Rejects at the first broken promise. */
export async function soakLeases(): Promise<void> {
  const started = Date.now();
  const report = await leaseRounds({ rounds: ROUNDS, pairs: PAIRS, seed: SEED, lease: null });
  console.log(
    `${report.rounds} rounds, leases of 5 s, seed ${SEED}: ${report.killed} servers killed, ${report.frozen} frozen ` +
      `(${report.wokeMeanwhile} woke up while the other drove, ${report.frozenAgain} were let go out of a write first), ` +
      `${report.second} of them after they had taken the run over, ${report.missed} too late for it; every run went on ` +
      `and completed, slowest take-over ${report.slowestMs} ms; ${report.calls} tool calls, ` +
      `${report.secondLines} cut ones made again with the same id; ${Math.round((Date.now() - started) / 1000)} s`,
  );
}
