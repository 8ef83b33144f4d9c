import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { listen } from './listen.ts';

/**
 * Control of the load generator: does nothing but write. As many frames as were published in one read go to every
 * socket as one buffer that was made beforehand; what this server reaches, the generator can take.
 */

/** As large as the gateway's frame of the same message, so that the generator reads as many bytes. */
const FRAME_BYTES = 330;
const MAX_FRAMES = 512;
const HANDSHAKE_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

const frame = Buffer.alloc(FRAME_BYTES, 'x');
frame.set([0x81, 126, 0, 0]);
frame.writeUInt16BE(FRAME_BYTES - 4, 2);
const joined = Buffer.concat(Array.from({ length: MAX_FRAMES }, () => frame));
const subscribers = new Set<Duplex>();

let waiting = 0;

/** What was published while the last broadcast was written goes out together. */
function broadcast(): void {
  const messages = Math.min(waiting, MAX_FRAMES);
  waiting -= messages;
  const bytes = joined.subarray(0, messages * FRAME_BYTES);
  for (const subscriber of subscribers) subscriber.write(bytes);
  if (waiting > 0) setImmediate(broadcast);
}

function publish(messages: number): void {
  if (messages > 0 && waiting === 0) setImmediate(broadcast);
  waiting += messages;
}

/** Every published frame has the length of the first. */
function readPublisher(socket: Duplex): void {
  let frameBytes = 0;
  let readBytes = 0;
  socket.on('data', (chunk: Buffer) => {
    const short = (chunk[1] ?? 0) & 0x7f;
    if (frameBytes === 0) frameBytes = short === 126 ? 8 + chunk.readUInt16BE(2) : 6 + short;
    readBytes += chunk.length;
    publish(Math.floor(readBytes / frameBytes));
    readBytes %= frameBytes;
  });
}

const server = createServer();
server.on('upgrade', (request: IncomingMessage, socket: Duplex) => {
  const key = `${request.headers['sec-websocket-key']}${HANDSHAKE_GUID}`;
  const accept = createHash('sha1').update(key).digest('base64');
  socket.write(
    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
      `Sec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
  socket.on('error', () => socket.destroy()); // the bench drops its connections with a reset
  if (request.url === '/publish') return readPublisher(socket);
  subscribers.add(socket);
  socket.on('close', () => subscribers.delete(socket));
  socket.resume();
});
listen(server);
