import { connect } from 'node:net';
import type { Subscriber } from './crowd.ts';
import { EventReader } from './events.ts';
import { TOKEN } from './systems.ts';

/** How long a server may take to begin its response, in ms. */
const ANSWER_MS = 20_000;

/** All readers of the process read into one buffer: what was read is counted before the next read. */
const scratch = Buffer.allocUnsafe(256 * 1024);

export interface ReaderOptions {
  readonly port: number;
  /** With its query. */
  readonly path: string;
  /** How many messages have just been completed; called once per read. */
  onMessages(count: number): void;
}

/** Reads server-sent events and counts them. Resolves when the first bytes after the response's head are there. */
export function openReader({ port, path, onMessages }: ReaderOptions): Promise<Subscriber> {
  return new Promise((resolve, reject) => {
    const events = new EventReader();
    let head = '';
    let reading = false;
    let messages = 0;

    function begin(bytes: number): void {
      head += scratch.toString('latin1', 0, bytes);
      const end = head.indexOf('\r\n\r\n');
      if (end < 0 || head.length === end + 4) return;
      if (!head.startsWith('HTTP/1.1 200 ')) return fail(head);
      clearTimeout(late);
      reading = true;
      const rest = Buffer.from(head.slice(end + 4), 'latin1');
      events.take(rest, rest.length);
      resolve({
        get messages() {
          return messages;
        },
        count() {},
        close: () => void socket.resetAndDestroy(), // without a TIME_WAIT that would use up the ports
      });
    }

    const socket = connect({
      port,
      host: '127.0.0.1',
      noDelay: true,
      onread: {
        buffer: scratch,
        callback(bytes) {
          if (!reading) {
            begin(bytes);
            return true;
          }
          const count = events.take(scratch, bytes);
          messages += count;
          if (count > 0) onMessages(count);
          return true;
        },
      },
    });
    const fail = (why: string): void => {
      clearTimeout(late);
      reject(new Error(`${path}: ${why}`));
      socket.destroy();
    };
    const late = setTimeout(() => fail(`no event within ${ANSWER_MS} ms`), ANSWER_MS);
    socket.on('error', (error) => fail(error.message));
    socket.on('close', () => fail('the server ended the response'));
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAccept: text/event-stream\r\n` +
        `Authorization: Bearer ${TOKEN}\r\n\r\n`,
    );
  });
}
