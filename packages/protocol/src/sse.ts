/** One server-sent event. */
export interface SseEvent {
  /** What a reader made by {@link createSseReader} gives is `message` where the stream names none. */
  readonly event: string;
  /** Absent on events that are not positions (meta events). */
  readonly id?: string;
  readonly data: string;
}

/** Keeps proxies from closing an idle stream, and tells a client that the stream is not buffered. */
export const SSE_HEARTBEAT: string = ': heartbeat\n\n';

export const SSE_HEADERS: Readonly<Record<string, string>> = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
};

/** LF only, `data: ` with the space; `data` must be one line, as JSON text always is. */
export function writeSse({ event, id, data }: Omit<SseEvent, 'event'> & { readonly event?: string }): string {
  const name = event === undefined ? '' : `event: ${event}\n`;
  return `${name}${id === undefined ? '' : `id: ${id}\n`}data: ${data}\n\n`;
}

/** A position without an event: an EventSource comes back with it, and shows nothing. */
export function writeSseId(id: string): string {
  return `id: ${id}\n\n`;
}

/** A reader of a stream that may be cut anywhere: feed it text, it returns the events that are complete. */
export interface SseReader {
  push(text: string): SseEvent[];
  /** The newest id that came, also in a block without data; '' before the first. */
  readonly lastId: string;
}

/** Comments and unknown fields are skipped; CRLF, CR and LF all end a line, as the standard says. */
export function createSseReader(): SseReader {
  let rest = '';
  let event = '';
  let id: string | undefined;
  let lastId = '';
  let data: string[] = [];

  function line(text: string): SseEvent | null {
    if (text === '') {
      const done =
        data.length > 0
          ? { event: event || 'message', ...(id === undefined ? {} : { id }), data: data.join('\n') }
          : null;
      lastId = id ?? lastId;
      event = '';
      id = undefined;
      data = [];
      return done;
    }
    const colon = text.indexOf(':');
    const field = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? '' : text.slice(text[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (field === 'event') event = value;
    else if (field === 'id') id = value;
    else if (field === 'data') data.push(value);
    return null;
  }

  return {
    get lastId() {
      return lastId;
    },
    push(chunk) {
      rest += chunk;
      const events: SseEvent[] = [];
      const lines = rest.split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop() ?? '';
      for (const each of lines) {
        const done = line(each);
        if (done) events.push(done);
      }
      return events;
    },
  };
}
