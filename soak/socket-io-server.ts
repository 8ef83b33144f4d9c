import { createServer } from 'node:http';
import { Server } from 'socket.io';

/** Control of `npm run soak -- push`: Socket.IO that keeps what a lost connection missed. The argument is the port. */

interface FromClient {
  subscribe(channel: string, answer: () => void): void;
  publish(channel: string, id: string, answer: () => void): void;
}

interface FromServer {
  message(id: string): void;
}

const server = createServer();
const io = new Server<FromClient, FromServer>(server, {
  transports: ['websocket'],
  serveClient: false,
  connectionStateRecovery: {},
});
io.on('connection', (socket) => {
  socket.on('subscribe', async (channel, answer) => {
    await socket.join(channel);
    answer();
  });
  socket.on('publish', (channel, id, answer) => {
    io.to(channel).emit('message', id);
    answer();
  });
});
server.listen(Number(process.argv[2]), '127.0.0.1', () => {
  const address = server.address();
  process.send?.({ port: typeof address === 'object' ? address?.port : 0 });
});
