import { ChannelName, ChannelPost } from '@continuo/protocol';
import { Hono } from 'hono';
import type { Authenticate } from '../auth/authenticate.ts';
import type { Channels } from '../core/channels.ts';
import { credentialOf, parseBody, readBody } from './http.ts';

/** Publishing to a channel without being a client of it: with a server's token, or a user's. */
export function createChannelPost({
  channels,
  authenticate,
}: {
  readonly channels: Channels;
  readonly authenticate: Authenticate;
}): Hono {
  const routes = new Hono();
  // A name may contain slashes, as they are or percent-encoded.
  routes.post('/api/channels/:name{.+}/messages', async (c) => {
    const principal = await authenticate(credentialOf(c));
    const channel = parseBody(ChannelName, c.req.param('name'), 'bad_request');
    const { data, event_id } = parseBody(ChannelPost, await readBody(c), 'bad_request');
    const asker = { principal, clientId: null, source: undefined };
    const { eventId, sequence } = await channels.accept(asker, channel, { data, eventId: event_id });
    return c.json({ event_id: eventId, sequence });
  });
  return routes;
}
