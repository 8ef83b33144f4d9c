import type { RunEventJson } from '@continuo/protocol';
import { checkRun } from './run-reader.ts';

/** What the events of a run of `counter` and the lines of its file must have to do with each other. */

export interface Counted {
  readonly events: readonly RunEventJson[];
  /** How far it was to count. */
  readonly count: number;
  /** Of the file, which other runs share: each is the `tool_call_id` of a call that had its effect. */
  readonly lines: readonly string[];
}

/** The id of a tool call; '' where the event is of none. */
function callOf(event: RunEventJson): string {
  const { tool } = event;
  if (typeof tool !== 'object' || tool === null || !('tool_call_id' in tool)) return '';
  return String(tool.tool_call_id);
}

/** The attempts of a run: each begins with the event that says so, but the first. */
function attemptsOf(events: readonly RunEventJson[]): readonly (readonly RunEventJson[])[] {
  const attempts: RunEventJson[][] = [[]];
  for (const event of events) {
    if (event.event === 'RunAttempt') attempts.push([]);
    attempts.at(-1)?.push(event);
  }
  return attempts;
}

/** Throws where a call was lost, or was made again after it had finished. Returns how many were made again. */
export function checkCounts({ events, count, lines }: Counted): { readonly secondLines: number } {
  checkRun(events);
  const runId = events[0]?.run_id;
  const attempts = attemptsOf(events);
  const numbers = attempts.flatMap(([first]) => (first?.event === 'RunAttempt' ? [first.attempt] : []));
  if (numbers.some((attempt, index) => attempt !== index + 2)) {
    throw new Error(`R-22: ${runId} has the attempts ${numbers.join(', ')}`);
  }

  // Calls are made one after the other, so an attempt that ended early cut the one after the last that had finished.
  const finished: string[] = [];
  const cuts: number[] = [];
  for (const [index, attempt] of attempts.entries()) {
    const completed = attempt.filter(({ event }) => event === 'ToolCallCompleted').map(callOf);
    // What a former attempt had finished is shown again from its beginning; what is new follows.
    for (const [place, id] of completed.entries()) {
      if (place < finished.length && finished[place] !== id) {
        throw new Error(`R-22: attempt ${index + 1} of ${runId} completes ${id} as its number ${place + 1}`);
      }
      if (place === finished.length) finished.push(id);
    }
    if (index < attempts.length - 1) cuts.push(finished.length);
    else if (completed.length !== count) {
      throw new Error(`R-22: the last attempt of ${runId} completes ${completed.length} of ${count} calls`);
    }
  }
  if (new Set(finished).size !== count) throw new Error(`R-22: ${runId} has ids of calls twice`);

  let secondLines = 0;
  for (const [place, id] of finished.entries()) {
    const made = lines.filter((line) => line === id).length;
    const cut = cuts.filter((at) => at === place).length;
    if (made < 1 || made > 1 + cut) {
      throw new Error(`R-22: the call ${id} of ${runId} was made ${made} times and cut ${cut} times`);
    }
    secondLines += made - 1;
  }
  return { secondLines };
}
