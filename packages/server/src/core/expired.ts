import type { Head, Logs } from '../ports.ts';

const ONE = { entries: 1, bytes: 1 };

/**
 * The offset of the oldest kept entry that was appended at `since` (unix ms) or later: those below it are older. By
 * halves, with reads of one entry each. `null` when nothing is older, and when the log is trimmed meanwhile.
 */
export async function findYounger(
  logs: Logs,
  log: string,
  { head, since }: { readonly head: Head; readonly since: number },
): Promise<number | null> {
  const { epoch, offset, oldest } = head;

  /** Whether an entry is older; `null`: it is gone. */
  async function isOlder(at: number): Promise<boolean | null> {
    const page = await logs.read(log, { epoch, offset: at - 1 }, ONE);
    const [entry] = page.kind === 'page' ? page.entries : [];
    return entry ? entry.at < since : null;
  }

  let [low, high] = [oldest, offset + 1];
  if (low >= high || !(await isOlder(low))) return null;
  // The entry at `low` is older, the one at `high` is not, or there is none.
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    const older = await isOlder(middle);
    if (older === null) return null;
    if (older) low = middle;
    else high = middle;
  }
  return high;
}
