import { serve } from './bun-serve.ts';

/** Control: Bun's own server and its topics. Whoever says hello subscribes; who does not, publishes. */

let sessions = 0;

const server = serve({
  message(socket, text) {
    if (text.startsWith('{"type":"join"')) {
      socket.subscribe('news');
      socket.send(JSON.stringify({ type: 'joined', session_id: `ses_${++sessions}`, agent_id: 'echo' }));
      return;
    }
    server.publish('news', text);
  },
});
