import { createServer, type ServerResponse } from 'node:http';
import { WebSocketServer } from 'ws';
import { listen } from './listen.ts';

/**
 * Control: server-sent events as Node's documentation has it, one `res.write` per reader and message. What is written
 * within one tick Node sends together: messages are taken in ticks of their own, as those of different requests are, or,
 * with `together` as the argument, as they were read.
 */

const together = process.argv[2] === 'together';
const readers = new Set<ServerResponse>();

const server = createServer((_request, response) => {
  response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache, no-transform' });
  response.write(':\n\n');
  readers.add(response);
  response.on('close', () => readers.delete(response));
  response.on('error', () => {}); // the bench drops its connections with a reset
});

const publishers = new WebSocketServer({ server, perMessageDeflate: false });
let sequence = 0;
publishers.on('connection', (socket) => {
  socket.on('error', () => {});
  socket.on('message', (data) => {
    sequence++;
    // As long as the gateway's event of the same message, so that the generator reads as many bytes.
    const event = `id: channel%3Anews,b2,${sequence}\ndata: ${JSON.stringify({
      type: 'channel_message',
      channel: 'news',
      data: JSON.parse(String(data)),
      event_id: `evt_${String(sequence).padStart(22, '0')}`,
      timestamp: Date.now() / 1_000,
      source: 'cli_0000000000000000000000',
      sequence,
    })}\n\n`;
    const broadcast = (): void => {
      for (const reader of readers) reader.write(event);
    };
    if (together) broadcast();
    else setImmediate(broadcast);
  });
});
listen(server);
