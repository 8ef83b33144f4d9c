import { createSseReader } from '@continuo/protocol';
import { TOKEN } from './systems.ts';

/** One run of many events, and what comes when it is resumed from its beginning. */

/** Its start, deltas with tool calls here and there, the whole text and the end. */
export const RUN_EVENTS = 10_000;

const AGENT = 'agents/speaker';
const HEADERS = { authorization: `Bearer ${TOKEN}` };

export type View = 'exact' | 'collapsed';

/** What a resume brought. */
export interface LongRead {
  readonly events: number;
  /** The content of all deltas, put together. */
  readonly text: string;
  readonly lastIndex: number;
}

/** Runs it to its end; resolves with its id. */
export async function makeLongRun(port: number): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}/${AGENT}/runs`, {
    method: 'POST',
    headers: HEADERS,
    body: new URLSearchParams({ message: 'speak', stream: 'true', background: 'true' }),
  });
  const { events, text, runId } = parse(await response.text());
  if (events !== RUN_EVENTS) throw new Error(`the run has ${events} events: ${text.slice(0, 200)}`);
  return runId;
}

/** Resumes it from its beginning; resolves with the bytes when the last has come. */
export async function resumeLongRun(port: number, runId: string, view: View): Promise<Buffer> {
  const response = await fetch(`http://127.0.0.1:${port}/${AGENT}/runs/${runId}/events?view=${view}`, {
    headers: HEADERS,
  });
  if (response.status !== 200) throw new Error(`${view}: ${response.status} ${await response.text()}`);
  return Buffer.from(await response.arrayBuffer());
}

/** Reads what came, after the clock has stopped. */
export function readLongRun(bytes: Buffer): LongRead {
  return parse(bytes.toString());
}

function parse(stream: string): LongRead & { readonly runId: string } {
  let events = 0;
  let text = '';
  let whole = '';
  let lastIndex = -1;
  let runId = '';
  for (const { id, data } of createSseReader().push(stream)) {
    if (id === undefined) continue;
    const event = JSON.parse(data);
    events++;
    lastIndex = event.event_index;
    runId ||= event.run_id;
    if (event.event === 'RunContent') text += event.content;
    if (event.event === 'RunCompleted') whole = event.content;
  }
  if (whole !== text)
    throw new Error(`the deltas are ${text.length} characters, the run's content ${whole.length}`);
  return { events, text, lastIndex, runId };
}
