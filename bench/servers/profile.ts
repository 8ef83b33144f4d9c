import { Session } from 'node:inspector/promises';

/** A sampled profile of this process, as V8 makes it. */

const INTERVAL_US = 100;

/** How long one function has run itself, without those that it called. */
export interface SelfTime {
  readonly name: string;
  /** The end of its file's path, and the line; empty for what is not JavaScript. */
  readonly place: string;
  readonly us: number;
}

let session: Session | null = null;

export async function startProfile(): Promise<void> {
  session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.setSamplingInterval', { interval: INTERVAL_US });
  await session.post('Profiler.start');
}

function placeOf(url: string, line: number): string {
  return url === '' ? '' : `${url.split('/').slice(-3).join('/')}:${line + 1}`;
}

/** The same function called from several places is one; those that ran longest come first. */
export async function stopProfile(): Promise<readonly SelfTime[]> {
  if (!session) return [];
  const { profile } = await session.post('Profiler.stop');
  session.disconnect();
  session = null;
  const usOf = new Map<number, number>();
  for (const [index, id] of (profile.samples ?? []).entries()) {
    usOf.set(id, (usOf.get(id) ?? 0) + (profile.timeDeltas?.[index] ?? 0));
  }
  const byFunction = new Map<string, SelfTime>();
  for (const { id, callFrame } of profile.nodes) {
    const name = callFrame.functionName || '(anonymous)';
    const place = placeOf(callFrame.url, callFrame.lineNumber);
    const key = `${name} ${place}`;
    const us = (byFunction.get(key)?.us ?? 0) + (usOf.get(id) ?? 0);
    byFunction.set(key, { name, place, us });
  }
  return [...byFunction.values()].filter(({ us }) => us > 0).toSorted((a, b) => b.us - a.us);
}
