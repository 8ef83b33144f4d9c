import { serve } from './bun-serve.ts';
import { type FromClient, messageText, subscribedText } from './channels.ts';

/** Control: a topic of Bun's server per channel. Acks are read; nothing is kept, and nothing sent again. */

let messages = 0;

const server = serve({
  message(socket, text) {
    const frame: FromClient = JSON.parse(text);
    if (frame.type === 'subscribe') {
      socket.subscribe(frame.channel);
      socket.send(subscribedText(frame.channel));
    } else if (frame.type === 'publish') {
      server.publish(frame.channel, messageText(frame.channel, ++messages, frame.data));
    }
  },
});
