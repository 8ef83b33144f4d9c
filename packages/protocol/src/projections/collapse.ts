import type { Entry } from '../entry.ts';
import type { RunEventJson } from '../runs.ts';
import { toRun } from './to-run.ts';

/** Deltas of one run that follow each other. */
interface Said {
  readonly whose: string;
  readonly texts: string[];
  last: Entry;
}

/** The part of a delta's data that decides whose it is. */
interface Delta {
  readonly text: string;
  readonly runId: string;
  readonly step?: string;
}

/**
 * Entries of a run as {@link toRun} gives them, in order, but for content deltas of one run that follow each other: they
 * come as one event with the whole text, and the `event_index` and time of the last.
 */
export function collapseRun(entries: readonly Entry[], sessionId: string): RunEventJson[] {
  const events: RunEventJson[] = [];
  let said: Said | null = null;
  for (const entry of entries) {
    const delta = deltaOf(entry);
    const whose = delta && whoseOf(delta);
    if (said && said.whose === whose && delta) {
      said.texts.push(delta.text);
      said.last = entry;
      continue;
    }
    if (said) events.push(together(said, sessionId));
    said = delta && whose !== null ? { whose, texts: [delta.text], last: entry } : null;
    if (!said) events.push(toRun(entry, sessionId));
  }
  if (said) events.push(together(said, sessionId));
  return events;
}

function deltaOf({ type, data }: Entry): Delta | null {
  return type === 'text.delta' ? (data as Delta) : null;
}

/** A member may speak in one step of a workflow, and again in the next. */
function whoseOf({ runId, step }: Delta): string {
  return step === undefined ? runId : `${runId} ${step}`;
}

function together({ texts, last }: Said, sessionId: string): RunEventJson {
  if (texts.length === 1) return toRun(last, sessionId);
  return toRun({ ...last, data: { ...(last.data as object), text: texts.join('') } }, sessionId);
}
