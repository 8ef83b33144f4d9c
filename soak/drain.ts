import { drain } from '../test/system/drain.ts';

const CLIENTS = 2_000;

/** Two thousand clients whose server is told to end, and starts again. */
export async function soakDrain(): Promise<void> {
  const { clients, underWay, stopMs, backMs, outcomes } = await drain(CLIENTS);
  const ends = Object.entries(outcomes).map(([outcome, count]) => `${outcome} ${count}`);
  console.log(
    `${clients} clients, ${underWay} turns under way: the server ended ${stopMs} ms after SIGTERM; ` +
      `back ${backMs[0]} to ${backMs[1]} ms after the new one listened; ends: ${ends.join(', ')}; nothing lost or doubled`,
  );
}
