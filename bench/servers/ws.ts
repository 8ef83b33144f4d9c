import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';
import { listen } from './listen.ts';

/** Control: `ws` as its README broadcasts, one send per socket and message. On `/echo` it sends back what it gets. */

const server = createServer();
const sockets = new WebSocketServer({ server, perMessageDeflate: false });
let sessions = 0;

sockets.on('connection', (socket, request) => {
  socket.on('error', () => {}); // the bench drops its connections with a reset
  if (request.url === '/echo') {
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
    return;
  }
  let joined = false;
  socket.on('message', (data, isBinary) => {
    if (!joined) {
      joined = true;
      socket.send(JSON.stringify({ type: 'joined', session_id: `ses_${++sessions}`, agent_id: 'echo' }));
      return;
    }
    for (const other of sockets.clients) if (other !== socket) other.send(data, { binary: isBinary });
  });
});
listen(server);
