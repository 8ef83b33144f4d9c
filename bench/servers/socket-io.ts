import { createServer } from 'node:http';
import { Server } from 'socket.io';
import { listen } from './listen.ts';

/** Control: Socket.IO over WebSocket alone, a room for the channel. `recovery` as the argument: it keeps what was missed. */

interface FromClient {
  join(frame: unknown, answer: (joined: object) => void): void;
  subscribe(channel: string, answer: (ok: boolean) => void): void;
  publish(data: unknown): void;
  publishTo(channel: string, data: unknown): void;
  ping(answer: () => void): void;
}

interface FromServer {
  message(data: unknown): void;
  acked(data: unknown, answer: () => void): void;
}

/** How long acks may take, in ms. */
const ACK_MS = 30_000;

const server = createServer();
const io = new Server<FromClient, FromServer>(server, {
  transports: ['websocket'],
  serveClient: false,
  ...(process.argv[2] === 'recovery' && { connectionStateRecovery: {} }),
});

io.on('connection', (socket) => {
  socket.on('join', (_frame, answer) =>
    answer({ type: 'joined', session_id: `ses_${socket.id}`, agent_id: 'echo' }),
  );
  socket.on('subscribe', async (channel, answer) => {
    await socket.join(channel);
    answer(true);
  });
  socket.on('publish', (data) => {
    socket.to('news').emit('message', data);
  });
  socket.on('publishTo', (channel, data) => {
    io.to(channel)
      .timeout(ACK_MS)
      .emit('acked', data, () => {});
  });
  socket.on('ping', (answer) => answer());
});
listen(server);
