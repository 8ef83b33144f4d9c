import { openSqliteStore, systemClock } from '@continuo/server';
import { GatewayClient } from '@continuo/client';
import { startServer } from './server-process.ts';
import { rmSync, readFileSync } from 'node:fs';
import { openRawSocket } from './raw-socket.ts';
const path = '/tmp/memdbg/s.db';
const rss = (pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;
const small = process.argv[2] === 'small';
rmSync('/tmp/memdbg', { recursive: true, force: true });
const start = () => startServer({ store: `sqlite:${path}`, nodeArgs: process.argv.slice(3) });
let s = await start();
const cl = new GatewayClient({ url: s.url, agentId: 'echo' });
const ev = cl.events();
await cl.connect();
const sid = cl.sessionId;
if (!small)
  for (let i = 0; i < 15; i++) {
    await cl.send('x'.repeat(900 * 1024));
    for await (const e of { [Symbol.asyncIterator]: () => ({ next: () => ev.next() }) })
      if (e.type === 'response') break;
  }
else {
  await cl.send('start');
  await new Promise((r) => setTimeout(r, 500));
}
cl.disconnect();
await s.kill();
const store = await openSqliteStore({ path, clock: systemClock });
if (small) {
  const log = `session:local:${sid}`;
  let n = 0;
  for (let k = 0; k < 90; k++)
    await store.logs.append(
      log,
      Array.from({ length: 1000 }, () => ({
        id: `z${n++}`,
        type: 'text.delta',
        data: {
          text: 'word '.repeat(80),
          runId: 'run_x',
          messageId: 'm',
          attempt: 1,
          component: { kind: 'agent', id: 'echo', name: 'Echo' },
        },
        source: 'echo',
      })),
    );
}
const head = (await store.logs.heads([`session:local:${sid}`]))[0];
await store.close();
s = await start();
const c2 = new GatewayClient({ url: s.url, agentId: 'echo' });
await c2.connect();
await c2.send('hi');
await new Promise((r) => setTimeout(r, 500));
const before = rss(s.pid);
let most = before;
let seq = 0;
const r = await openRawSocket({
  port: s.port,
  path: '/',
  onFrame: (t) => {
    const m = /"seq":(\d+)\}$/.exec(t);
    if (m) seq = +m[1];
    else console.log(t.slice(0, 100));
  },
});
r.send({ type: 'join', agent_id: 'echo', session_id: sid, since: 0 });
let taken = 0;
const t0 = Date.now();
while (seq < head.offset && Date.now() - t0 < 30000) {
  if (r.bytes - taken > 100e3) {
    taken = r.bytes;
    r.socket.pause();
    await new Promise((q) => setTimeout(q, 5));
    r.socket.resume();
  }
  await new Promise((q) => setTimeout(q, 1));
  most = Math.max(most, rss(s.pid));
}
console.log(
  process.argv.slice(2).join(' '),
  'before',
  before.toFixed(0),
  'growth',
  (most - before).toFixed(1),
  'end',
  (rss(s.pid) - before).toFixed(1),
  'ms',
  Date.now() - t0,
  (r.bytes / 1e6).toFixed(0) + 'MB',
  seq,
  s.errors,
);
await s.kill();
process.exit();
