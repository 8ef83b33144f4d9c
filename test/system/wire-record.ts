/** What one client was sent, read beside it: which messages came, and whether a second time was marked. */
export interface WireRecord {
  /** Messages that came. */
  readonly messages: number;
  readonly redelivered: number;
  /** Messages that came again without the mark, by event id. */
  readonly unmarked: readonly string[];
  /** For a client: its connections are read as they are. */
  readonly WebSocket: typeof globalThis.WebSocket;
  readonly fetch: typeof globalThis.fetch;
}

interface MaybeMessage {
  readonly type?: string;
  readonly event_id?: string;
  readonly _redelivered?: boolean;
}

export function createWireRecord(): WireRecord {
  const seen = new Set<string>();
  const unmarked: string[] = [];
  let messages = 0;
  let redelivered = 0;

  function note({ type, event_id: id = '', _redelivered: isMarked = false }: MaybeMessage): void {
    if (type !== 'channel_message') return;
    messages++;
    if (isMarked) redelivered++;
    else if (seen.has(id)) unmarked.push(id);
    seen.add(id);
  }

  class RecordedSocket extends WebSocket {
    constructor(url: string | URL) {
      super(url);
      this.addEventListener('message', ({ data }) => note(JSON.parse(String(data)) as MaybeMessage));
    }
  }

  async function recordedFetch(...asked: Parameters<typeof fetch>): Promise<Response> {
    const response = await fetch(...asked);
    if (!String(asked[0]).endsWith('/poll/messages') || !response.ok) return response;
    const text = await response.text(); // an answer that is torn is none
    for (const frame of (JSON.parse(text) as { readonly messages: readonly MaybeMessage[] }).messages)
      note(frame);
    const { status, headers } = response;
    return new Response(text, { status, headers });
  }

  return {
    get messages() {
      return messages;
    },
    get redelivered() {
      return redelivered;
    },
    unmarked,
    WebSocket: RecordedSocket,
    fetch: recordedFetch,
  };
}
