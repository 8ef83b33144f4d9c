import { createServer } from 'node:http';
import { type WebSocket, WebSocketServer } from 'ws';
import { type FromClient, messageText, subscribedText } from './channels.ts';
import { listen } from './listen.ts';

/** Control: a plain broadcast per channel with `ws`. Acks are read; nothing is kept, and nothing sent again. */

const server = createServer();
const sockets = new WebSocketServer({ server, perMessageDeflate: false });
const channels = new Map<string, Set<WebSocket>>();
let messages = 0;

sockets.on('connection', (socket) => {
  socket.on('error', () => {}); // the bench drops its connections with a reset
  socket.on('message', (text) => {
    const frame: FromClient = JSON.parse(String(text));
    const subscribers = channels.get(frame.channel) ?? new Set();
    if (frame.type === 'subscribe') {
      channels.set(frame.channel, subscribers.add(socket));
      socket.send(subscribedText(frame.channel));
    } else if (frame.type === 'publish') {
      const message = messageText(frame.channel, ++messages, frame.data);
      for (const subscriber of subscribers) subscriber.send(message);
    }
  });
});
listen(server);
