import { createServer } from 'node:http';
import { Server } from 'socket.io';
import { listen } from './listen.ts';

/** Control: Socket.IO over WebSocket alone, a room for the channel. */

interface FromClient {
  join(frame: unknown, answer: (joined: object) => void): void;
  subscribe(channel: string, answer: (ok: boolean) => void): void;
  publish(data: unknown): void;
}

interface FromServer {
  message(data: unknown): void;
}

const server = createServer();
const io = new Server<FromClient, FromServer>(server, { transports: ['websocket'], serveClient: false });

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
});
listen(server);
