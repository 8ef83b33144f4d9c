import type { Page, Request } from 'playwright-core';

/** The browser's own EventSource on a run, in a page of the gateway: nothing of ours runs there. */
export interface WatchingPage {
  /** Everything that came, as it came. */
  seen(): Promise<SeenRun>;
  /** The requests of the EventSource so far, with what each came back with: `null` for the first. */
  asked(): Promise<readonly { readonly lastEventId: string | null; readonly status: number | null }[]>;
}

export interface SeenRun {
  /** 0 connecting, 1 open, 2 closed. */
  readonly readyState: number;
  /** The data of all named events, in order. */
  readonly events: readonly Readonly<Record<string, unknown>>[];
}

/** An EventSource shows a named event to who listens for that name. */
const OF_AGENTS = [
  ...['RunStarted', 'RunContent', 'RunContentCompleted', 'RunCompleted', 'RunError', 'RunCancelled'],
  ...['RunPaused', 'RunContinued', 'RunAttempt', 'RunStatus', 'ApprovalRequested', 'ApprovalResolved'],
  ...['ToolCallStarted', 'ToolCallProgress', 'ToolCallCompleted', 'ToolCallError'],
];
const OF_WORKFLOWS = [
  'WorkflowStarted',
  'StepStarted',
  'StepCompleted',
  'WorkflowCompleted',
  'WorkflowError',
];
const NAMES = [
  ...OF_AGENTS,
  ...OF_AGENTS.map((name) => `Team${name}`),
  ...OF_WORKFLOWS,
  ...['catch_up', 'subscribed', 'replay', 'gap'],
];

interface Watching {
  readonly source: EventSource;
  readonly events: Record<string, unknown>[];
}

declare global {
  var watching: Watching;
}

/** `path` is of the gateway's own origin: a page of another site may not ask it. */
export async function watchRun(page: Page, origin: string, path: string): Promise<WatchingPage> {
  const requests: Request[] = [];
  page.on('request', (request) => {
    if (request.resourceType() === 'eventsource') requests.push(request);
  });
  await page.goto(origin);
  await page.evaluate(
    ([to, names]) => {
      const source = new EventSource(to);
      const events: Record<string, unknown>[] = [];
      for (const name of names) {
        source.addEventListener(name, ({ data }: MessageEvent<string>) => events.push(JSON.parse(data)));
      }
      globalThis.watching = { source, events };
    },
    [path, NAMES] as const,
  );
  return {
    seen: () =>
      page.evaluate(() => {
        const { source, events } = globalThis.watching;
        return { readyState: source.readyState, events };
      }),
    asked: () =>
      Promise.all(
        requests.map(async (request) => {
          const headers = await request.allHeaders();
          const response = request.existingResponse();
          return { lastEventId: headers['last-event-id'] ?? null, status: response?.status() ?? null };
        }),
      ),
  };
}
