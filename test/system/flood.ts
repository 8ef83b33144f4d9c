import { openRawSocket } from './raw-socket.ts';
import { headOf } from './stranger.ts';
import { until } from './waiting.ts';

/** How far it publishes ahead of what is stored and read. */
const WINDOW = 2_000;
/** Frames of one write. */
const STEP = 200;
/** A mask of zeros: it masks nothing, and costs nothing. */
const NO_MASK = Buffer.alloc(4);

export interface FloodOptions {
  readonly port: number;
  readonly channel: string;
  readonly messages: number;
  /** Of the JSON that is published. */
  readonly bytes: number;
  /** How many of them those readers got who are to keep up. */
  readonly read: () => number;
}

/** Publishes one message after the other without waiting for each; resolves when every one is stored and read. */
export async function flood({ port, channel, messages, bytes, read }: FloodOptions): Promise<void> {
  let stored = 0;
  let refused = '';
  const socket = await openRawSocket({
    port,
    path: '/ws',
    onFrame(text) {
      if (text.startsWith('{"type":"channel.published"')) stored++;
      else if (text.startsWith('{"type":"error"')) refused = text;
    },
  });
  let sent = 0;
  await until('every message is stored and read', 600_000, () => {
    if (refused !== '') throw new Error(`a message was refused: ${refused}`);
    const done = Math.min(stored, read());
    while (sent < messages && sent - done < WINDOW) {
      const frames: Buffer[] = [];
      for (let count = 0; count < STEP && sent < messages; count++)
        frames.push(frameOf(channel, ++sent, bytes));
      socket.socket.write(Buffer.concat(frames));
    }
    return done >= messages;
  });
  socket.cut();
}

function frameOf(channel: string, number: number, bytes: number): Buffer {
  const begun = `{"n":${number},"text":"`;
  const data = `${begun}${'x'.repeat(Math.max(0, bytes - begun.length - 2))}"}`;
  const payload = Buffer.from(`{"type":"channel.publish","channel":"${channel}","data":${data}}`);
  return Buffer.concat([headOf(1, payload.byteLength), NO_MASK, payload]);
}
