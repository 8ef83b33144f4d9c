import type { Wire } from '../ports.ts';

/** A server's text frame of the WebSocket protocol: not masked, not compressed, whole. */
export const WS_WIRE: Wire = {
  name: 'ws',
  frame(text) {
    const length = Buffer.byteLength(text);
    const header = length < 126 ? 2 : length < 65_536 ? 4 : 10;
    const frame = Buffer.allocUnsafe(header + length);
    frame[0] = 0x81;
    if (header === 2) frame[1] = length;
    else if (header === 4) {
      frame[1] = 126;
      frame.writeUInt16BE(length, 2);
    } else {
      frame[1] = 127;
      frame.writeUInt32BE(Math.floor(length / 2 ** 32), 2);
      frame.writeUInt32BE(length >>> 0, 6);
    }
    frame.write(text, header);
    return frame;
  },
  join: (frames) => Buffer.concat(frames),
};

/** Text as it is: SSE. */
export const TEXT_WIRE: Wire = {
  name: 'text',
  frame: (text) => Buffer.from(text),
  join: (frames) => Buffer.concat(frames),
};
