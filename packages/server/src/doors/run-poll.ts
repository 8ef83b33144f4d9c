import {
  collapseRun,
  type Entry,
  type EventsQuery,
  type RunEventJson,
  type RunEventsPage,
  toRun,
} from '@continuo/protocol';
import { createFilling } from '../core/page.ts';
import { endIdOf } from '../core/run.ts';
import type { Run, Runs } from '../core/runs.ts';
import type { Head, Logs } from '../ports.ts';
import { headOf, positionOf, type RunAsked } from './run-asked.ts';
import { STATUS } from './run-json.ts';
import type { RunReads } from './run-reads.ts';
import { COLLAPSED_STEP } from './run-stream.ts';

/** `GET .../events?poll=MS`: R-15. */

/** Events of one answer; with the bytes of a page they bound it. */
const MAX_EVENTS = 1_000;
/** Entries that are read for one answer of a collapsed view. */
const MAX_COLLAPSED = 10_000;
/** Steps that are read for one answer. */
const MAX_STEPS = 4;

export interface PollWanted {
  readonly run: Run;
  readonly head: Head;
  /** The index of the last event the client has. */
  readonly last: number | undefined;
  readonly view: EventsQuery['view'];
  readonly ms: number;
}

export type PollRun = (asked: RunAsked, wanted: PollWanted) => Promise<Response>;

export function createPollRun(options: {
  readonly runs: Runs;
  readonly logs: Logs;
  readonly reads: RunReads;
}): PollRun {
  const { runs, logs, reads } = options;

  return async ({ c, principal }, { run, head, last, view, ms }) => {
    const collapsed = view === 'collapsed';
    const most = collapsed ? MAX_COLLAPSED : MAX_EVENTS;
    const entries: Entry[] = [];
    let { after } = positionOf(last, head);
    let gap: RunEventsPage['gap'];
    let steps = 0;
    const isFull = (): boolean => entries.length >= most || steps >= MAX_STEPS;
    const { ended } = await reads.read({
      run,
      head,
      after,
      principal,
      signal: c.req.raw.signal,
      ...(ms > 0 && { lateMs: ms }),
      ...(collapsed && { step: COLLAPSED_STEP }),
      room: () => (isFull() ? 0 : most - entries.length),
      take(sent) {
        entries.push(...sent);
        steps++;
      },
      onReset({ reason, from, to }) {
        gap ??= { event: 'gap', run_id: run.runId, reason, from: from.offset, to: to.offset };
        after = to.offset;
      },
      isEnough(progress) {
        const some = entries.length > 0 || gap !== undefined;
        if (isFull() || progress.ended) return true;
        // Asked without time to wait, it is answered when what there is was read.
        return progress.late || (progress.atHead && (some || ms === 0));
      },
    });
    const { events, isWhole } = page(
      collapsed ? collapseRun(entries, run.sessionId) : entries.map((entry) => toRun(entry, run.sessionId)),
    );
    const answer: RunEventsPage = {
      run_id: run.runId,
      status: STATUS[await runs.standing(run, await headOf(logs, run))],
      events: [...events],
      last_event_index: events.at(-1)?.event_index ?? after - 1,
      ended: isWhole && (ended || entries.at(-1)?.id === endIdOf(run.runId)),
      ...(gap && { gap }),
    };
    return c.json(answer);
  };
}

/** The first of them that an answer holds. */
function page(all: readonly RunEventJson[]): {
  readonly events: readonly RunEventJson[];
  readonly isWhole: boolean;
} {
  const filling = createFilling<RunEventJson>();
  const isWhole = all.every((event) => filling.items.length < MAX_EVENTS && filling.add(event));
  return { events: filling.items, isWhole };
}
