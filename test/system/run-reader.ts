import { createSseReader } from '@continuo/protocol';

/** Follows a run over SSE as a service would: drops and refusals are waited out, the last index is presented again. */
export interface RunReader {
  readonly events: readonly Readonly<Record<string, unknown>>[];
  readonly runId: string | null;
  /** Resolves when the run's terminal event was read. */
  readonly ended: Promise<void>;
  stop(): void;
}

export interface RunReaderOptions {
  /** `http://host:port` */
  readonly url: string;
  /** `teams/story-team` */
  readonly path: string;
  /** Starts a run with this message, or follows `runId`. */
  readonly message?: string;
  readonly runId?: string;
}

const TERMINAL = /^(Team)?Run(Completed|Error|Cancelled)$|^Workflow(Completed|Error|Cancelled)$/;

export function readRun({ url, path, message, runId: known }: RunReaderOptions): RunReader {
  const events: Record<string, unknown>[] = [];
  let runId: string | null = known ?? null;
  let stopped = false;

  async function readOnce(): Promise<boolean> {
    const last = events.at(-1)?.event_index ?? -1;
    const [target, form] =
      runId === null
        ? [`${url}/${path}/runs`, { message: message ?? '', stream: 'true', background: 'true' }]
        : [`${url}/${path}/runs/${runId}/resume`, { last_event_index: String(last) }];
    const response = await fetch(target, { method: 'POST', body: new URLSearchParams(form) });
    if (!response.ok || !response.body) throw new Error(`${target}: ${response.status}`);
    const reader = createSseReader();
    for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
      for (const { data } of reader.push(text)) {
        const event = JSON.parse(data) as Record<string, unknown>;
        if (event.event === 'error') throw new Error(String(event.error));
        if (event.event_index === undefined) continue;
        runId ??= String(event.run_id);
        events.push(event);
        if (TERMINAL.test(String(event.event)) && event.parent_run_id === undefined) return true;
      }
    }
    return false;
  }

  async function readToEnd(): Promise<void> {
    while (!stopped) {
      const ended = await readOnce().catch(() => false);
      if (ended) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  return {
    events,
    get runId() {
      return runId;
    },
    ended: readToEnd(),
    stop() {
      stopped = true;
    },
  };
}

/** Indices from 0 without hole or double, and one terminal event, the last. */
export function checkRun(events: readonly Readonly<Record<string, unknown>>[]): void {
  for (const [index, event] of events.entries()) {
    if (event.event_index !== index) throw new Error(`R-3: index ${event.event_index} at place ${index}`);
  }
  const ends = events.filter(
    (event) => TERMINAL.test(String(event.event)) && event.parent_run_id === undefined,
  );
  if (ends.length !== 1 || ends[0] !== events.at(-1)) throw new Error(`R-1: ${ends.length} terminal events`);
}
