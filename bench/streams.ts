import type { Broadcaster } from './crowd.ts';
import { maskedFrame } from './frames.ts';
import { openReader } from './reader.ts';
import { continuo, openPusher, PAYLOAD, publishFrame } from './systems.ts';
import { openClient } from './client.ts';

/** Subjects whose subscribers read server-sent events; publishers have a WebSocket. */

const resWrite = (name: string, args: readonly string[]): Broadcaster => ({
  name,
  server: 'res-write',
  args,
  publishFrame: maskedFrame(PAYLOAD),
  subscribe: (options) => openReader({ ...options, path: '/events' }),
  openPublisher: (port) => openClient({ port, path: '/' }),
});

export const STREAMS: readonly Broadcaster[] = [
  {
    name: 'continuo, SSE',
    server: 'continuo',
    args: ['memory'],
    publishFrame: publishFrame('news'),
    subscribe: (options) => openReader({ ...options, path: '/api/push/sse?channel=news&delivery=false' }),
    openPublisher: (port) => openPusher({ port }),
  },
  { ...continuo('memory'), name: 'continuo, WebSocket' },
  resWrite('res.write', []),
  resWrite('res.write, together', ['together']),
];
