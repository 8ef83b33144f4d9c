import { presenceWaves } from '../test/system/waves.ts';

const SEED = 20_261_120;

/** Two thousand clients of two servers that come and go, and a server that is killed. */
export async function soakPresence(): Promise<void> {
  const report = await presenceWaves({ clients: 2_000, waves: 5, seed: SEED });
  console.log(
    `${report.comings} comings and ${report.goings} goings in waves, seed ${SEED}; a server killed under ` +
      `${report.returned + report.lost} of them, ${report.returned} came back: ${report.members} members, every fold and ` +
      `every snapshot right ${report.settledMs} ms after the kill`,
  );
}
