import type { RunOutput } from '@continuo/protocol';
import { checkRun } from './run-reader.ts';

/** The scenario of the seed's script, in its own words: raw HTTP, blocks and `data: ` lines, and no code of ours. */

export const EVENTS_BEFORE_DISCONNECT = 6;
const MESSAGE = 'Tell me a detailed story about a brave knight. Make it at least 5 paragraphs.';
const META: ReadonlySet<unknown> = new Set(['catch_up', 'subscribed', 'replay', 'gap', 'error']);

type Json = Readonly<Record<string, unknown>>;

/** What one response brought. */
interface Read {
  /** Events of the run. */
  readonly events: readonly Json[];
  /** The names of the events about the stream, in the order in which they came. */
  readonly meta: readonly string[];
}

/** A run whose client has gone after some events. */
export interface Dropped {
  /** `teams/story-team` */
  readonly path: string;
  readonly runId: string;
  readonly sessionId: string;
  readonly events: readonly Json[];
}

/** A block has its lines ended by LF alone, and an `id` exactly where there is an index. */
function parseBlock(block: string, path: string): Json | null {
  if (block.startsWith(':')) return null;
  const [, name, , id, data] = /^event: (\w+)\n(id: (\d+)\n)?data: (.+)$/.exec(block) ?? [];
  if (data === undefined) throw new Error(`R-2: ${path} sent ${JSON.stringify(block)}`);
  const json = JSON.parse(data) as Json;
  if (json.event !== name || json.event_index !== (id === undefined ? undefined : Number(id))) {
    throw new Error(`R-2: the lines say ${name} ${id}, the data ${json.event} ${json.event_index}`);
  }
  return json;
}

/** Posts a form and reads the answer to its end, or until it has brought `most` events: then it hangs up. */
async function read(
  url: string,
  form: Readonly<Record<string, string>>,
  most = Number.POSITIVE_INFINITY,
): Promise<Read> {
  const response = await fetch(url, { method: 'POST', body: new URLSearchParams(form) });
  if (response.status !== 200 || !response.body) throw new Error(`${url}: ${response.status}`);
  const events: Json[] = [];
  const meta: string[] = [];
  let rest = '';
  for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
    const blocks = `${rest}${text}`.split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const json = parseBlock(block, url);
      if (!json) continue;
      if (META.has(json.event)) meta.push(String(json.event));
      else events.push(json);
      if (events.length === most) return { events, meta };
    }
  }
  return { events, meta };
}

/** Phase 1 of the script: a detached run is started, and its stream is left after six events. */
export async function startAndDrop(url: string, path: string): Promise<Dropped> {
  const form = { message: MESSAGE, stream: 'true', background: 'true' };
  const { events } = await read(`${url}/${path}/runs`, form, EVENTS_BEFORE_DISCONNECT);
  const [first] = events;
  if (events.length < EVENTS_BEFORE_DISCONNECT)
    throw new Error(`${path} ended after ${events.length} events`);
  return { path, runId: String(first?.run_id), sessionId: String(first?.session_id), events };
}

/** Phase 2: the run is resumed where it was left, on whatever server, and read to its end. */
export function resume(url: string, { path, runId, sessionId, events }: Dropped): Promise<Read> {
  const last = String(events.at(-1)?.event_index);
  return read(`${url}/${path}/runs/${runId}/resume`, { last_event_index: last, session_id: sessionId });
}

/** What the server says of the run now. */
export async function outputOf(url: string, { path, runId, sessionId }: Dropped): Promise<RunOutput> {
  const response = await fetch(`${url}/${path}/runs/${runId}?session_id=${sessionId}`);
  if (response.status !== 200) throw new Error(`${path}: ${response.status}`);
  return (await response.json()) as RunOutput;
}

/** Throws where an event is missing, came twice or differs from the stored run. Returns the terminal event's name. */
export function checkUnion(dropped: Dropped, resumed: Read, stored: RunOutput): string {
  const union = [...dropped.events, ...resumed.events];
  checkRun(union);
  if (JSON.stringify(union) !== JSON.stringify(stored.events)) {
    throw new Error(
      `R-3: ${dropped.path}: what came differs from the ${stored.events.length} events that are stored`,
    );
  }
  return String(union.at(-1)?.event);
}
