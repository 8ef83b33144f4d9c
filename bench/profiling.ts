import type { ServerProcess } from './server-process.ts';
import type { SelfTime } from './servers/profile.ts';
import { markdown, percent } from './tables.ts';

/** `--profile`: where the servers' time goes in what is measured. */

const SHOWN = 15;
/** Not work: the loop waits, or the profiler itself is busy. */
const NOT_WORK: ReadonlySet<string> = new Set(['(idle)', 'post node:inspector']);

const totals = new Map<string, Map<string, SelfTime>>();
let wanted = false;

export function profileFromNowOn(): void {
  wanted = true;
}

/** Runs `work`; if profiles are wanted, what the server does meanwhile is added to those of the same title. */
export async function profiled<T>(server: ServerProcess, title: string, work: () => Promise<T>): Promise<T> {
  if (!wanted) return work();
  await server.startProfile();
  const result = await work();
  const key = `${server.name}: ${title}`;
  const total = totals.get(key) ?? new Map<string, SelfTime>();
  totals.set(key, total);
  for (const { name, place, us } of await server.stopProfile()) {
    const of = `${name} ${place}`;
    total.set(of, { name, place, us: us + (total.get(of)?.us ?? 0) });
  }
  return result;
}

/** The functions that ran longest themselves, as shares of the time that was not idle. */
export function profileTables(): string {
  const tables = [...totals].map(([title, total]) => {
    const busy = [...total.values()]
      .filter(({ name, place }) => !NOT_WORK.has(`${name} ${place.replace(/:\d+$/, '')}`.trim()))
      .toSorted((a, b) => b.us - a.us);
    const busyUs = busy.reduce((sum, { us }) => sum + us, 0);
    const rows = busy
      .slice(0, SHOWN)
      .map(({ name, place, us }) => [`\`${name}\``, percent(us / busyUs, 1), place]);
    return markdown([[title, 'self time', 'where'], ...rows]);
  });
  return tables.join('\n\n');
}
