import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { until } from './waiting.ts';

/** A WebSocket client of its own: it shares no code with the server, and reads only when it is told to. */
export interface RawSocket {
  /** Text frames that came, oldest first. */
  readonly frames: readonly Readonly<Record<string, unknown>>[];
  readonly socket: Socket;
  /** The close code, once the server closed. */
  readonly closeCode: number | null;
  /** Bytes read so far. */
  readonly bytes: number;
  send(frame: object): void;
  /** The first frame for which it holds. */
  frame(
    holds: (frame: Readonly<Record<string, unknown>>) => boolean,
    withinMs?: number,
  ): Promise<Readonly<Record<string, unknown>>>;
  /** Cuts without a word. */
  cut(): void;
}

export interface RawSocketOptions {
  readonly port: number;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Called instead of keeping the frame. */
  readonly onFrame?: (text: string) => void;
}

export async function openRawSocket(options: RawSocketOptions): Promise<RawSocket> {
  const { port, path, headers = {}, onFrame } = options;
  const socket = connect(port, '127.0.0.1');
  const frames: Record<string, unknown>[] = [];
  let buffer = Buffer.alloc(0);
  let opened = false;
  let bytes = 0;
  let closeCode: number | null = null;

  function take(): boolean {
    if (buffer.byteLength < 2) return false;
    const short = (buffer[1] ?? 0) & 0x7f;
    const header = short === 126 ? 4 : short === 127 ? 10 : 2;
    if (buffer.byteLength < header) return false;
    const length =
      short === 126 ? buffer.readUInt16BE(2) : short === 127 ? Number(buffer.readBigUInt64BE(2)) : short;
    if (buffer.byteLength < header + length) return false;
    const payload = buffer.subarray(header, header + length);
    const opcode = (buffer[0] ?? 0) & 0x0f;
    buffer = buffer.subarray(header + length);
    if (opcode === 8) closeCode = length >= 2 ? payload.readUInt16BE(0) : 1005;
    else if (opcode === 1 && onFrame) onFrame(payload.toString());
    else if (opcode === 1) frames.push(JSON.parse(payload.toString()));
    return true;
  }

  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk) => {
    bytes += chunk.byteLength;
    buffer = buffer.byteLength === 0 ? chunk : Buffer.concat([buffer, chunk]);
    if (!opened) {
      const end = buffer.indexOf('\r\n\r\n');
      if (end < 0) return;
      const head = buffer.subarray(0, end).toString();
      if (!head.startsWith('HTTP/1.1 101')) throw new Error(`no upgrade: ${head}`);
      opened = true;
      buffer = buffer.subarray(end + 4);
    }
    while (take());
  });
  const lines = [
    `GET ${path} HTTP/1.1`,
    `host: 127.0.0.1:${port}`,
    'connection: upgrade',
    'upgrade: websocket',
    'sec-websocket-version: 13',
    `sec-websocket-key: ${randomBytes(16).toString('base64')}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ];
  socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  await until('the upgrade', 5_000, () => opened);

  return {
    frames,
    socket,
    get closeCode() {
      return closeCode;
    },
    get bytes() {
      return bytes;
    },
    send(frame) {
      const payload = Buffer.from(JSON.stringify(frame));
      const mask = randomBytes(4);
      const head =
        payload.byteLength < 126
          ? Buffer.from([0x81, 0x80 | payload.byteLength])
          : Buffer.from([0x81, 0xfe, payload.byteLength >> 8, payload.byteLength & 0xff]);
      if (payload.byteLength > 0xffff) throw new Error('too long for this client');
      const masked = payload.map((byte, index) => byte ^ (mask[index % 4] ?? 0));
      socket.write(Buffer.concat([head, mask, masked]));
    },
    async frame(holds, withinMs = 5_000) {
      await until('a frame', withinMs, () => frames.some(holds));
      const found = frames.find(holds);
      if (!found) throw new Error('the frame is gone');
      return found;
    },
    cut: () => socket.destroy(),
  };
}
