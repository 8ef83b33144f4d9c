import type { Entry } from '../entry.ts';
import type { RunEventJson } from '../runs.ts';
import { toRun } from './to-run.ts';

/** What of a delta's data says whose it is, and the text. */
interface Delta {
  readonly text: string;
  readonly runId: string;
  /** A member may speak in one step of a workflow, and again in the next. */
  readonly step?: string;
}

/** Deltas of one run that follow each other. */
interface Said {
  readonly first: Delta;
  readonly texts: string[];
  last: Entry;
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
    if (said && delta && delta.runId === said.first.runId && delta.step === said.first.step) {
      said.texts.push(delta.text);
      said.last = entry;
      continue;
    }
    if (said) events.push(together(said, sessionId));
    said = delta && { first: delta, texts: [delta.text], last: entry };
    if (!said) events.push(toRun(entry, sessionId));
  }
  if (said) events.push(together(said, sessionId));
  return events;
}

function deltaOf({ type, data }: Entry): Delta | null {
  return type === 'text.delta' ? (data as Delta) : null;
}

function together({ texts, last }: Said, sessionId: string): RunEventJson {
  if (texts.length === 1) return toRun(last, sessionId);
  return toRun({ ...last, data: { ...(last.data as object), text: texts.join('') } }, sessionId);
}
