import {
  type ErrorFrame,
  encodeVectorCursor,
  PushSseQuery,
  type VectorCursor,
  WireError,
  writeSseId,
} from '@continuo/protocol';
import type { Context } from 'hono';
import type { Authenticate } from '../auth/authenticate.ts';
import type { PollIdentity } from '../auth/poll-token.ts';
import type { Clock, EventStream, OpenStream, Peer, Random, Report, Wire } from '../ports.ts';
import { eventWire, positionedDialects } from './dialects.ts';
import { openEventStream } from './event-stream.ts';
import { credentialOf, parseBody, positionsOf } from './http.ts';
import type { Mailbox, Mailboxes, MailboxOptions } from './mailbox.ts';
import type { PollClients } from './poll-clients.ts';
import { keyOfPoller } from './pollers.ts';
import { toWireError } from './socket.ts';

/** Door 2 as server-sent events: a mailbox that lives as long as its stream. */

const TAKEN_OVER = 'Another connection of this client has its channels now. Do not come back by yourself.';

/** Characters of an id: a browser sends it back as a header. */
const MAX_ID = 8_000;

export interface PushStreamsOptions {
  readonly clients: PollClients;
  readonly mailboxes: Mailboxes;
  readonly authenticate: Authenticate;
  readonly openStream: OpenStream;
  readonly clock: Clock;
  readonly random: Random;
  readonly report: Report;
}

export interface PushStreams {
  /** Answers `GET /api/push/sse`. */
  open(c: Context): Promise<Response>;
}

/** Whose stream it is, and what it watches. */
type Viewer = Pick<
  MailboxOptions,
  'key' | 'reader' | 'principal' | 'clientId' | 'subscriptions' | 'arrive'
> & {
  /** It is there, until the returned function is called. */
  hold?(): () => void;
};

export function createPushStreams(options: PushStreamsOptions): PushStreams {
  const { clients, mailboxes, authenticate, openStream, clock, random, report } = options;

  async function viewerOf(c: Context, query: PushSseQuery): Promise<Viewer> {
    if (query.poll_token !== undefined) return lasting(await clients.identify(query.poll_token), query);
    const principal = await authenticate(credentialOf(c));
    if (query.client_id !== undefined)
      return lasting(await clients.register(principal, query.client_id), query);
    if (query.channel.length === 0)
      throw new WireError(
        'bad_request',
        '"channel" is missing: say what to watch, or who you are by "client_id".',
      );
    const clientId = `cli_${random.id()}`;
    const visits = query.channel.map((name) => clients.visit({ principal, clientId }, name));
    const subscriptions = await Promise.all(visits);
    return { key: clientId, reader: clientId, principal, clientId, subscriptions: async () => subscriptions };
  }

  async function lasting(identity: PollIdentity, query: PushSseQuery): Promise<Viewer> {
    const delivery = query.delivery !== 'false';
    for (const channel of query.channel) await clients.subscribe(identity, channel, { delivery });
    return {
      key: keyOfPoller(identity),
      reader: identity.reader,
      principal: identity.principal,
      clientId: identity.clientId,
      subscriptions: () => clients.subscriptions(identity),
      ...(clients.presenceOf(identity) && {
        arrive: (channel, to) => clients.arrive(identity, channel, to),
        hold: () => clients.presenceOf(identity)?.hold() ?? (() => {}),
      }),
    };
  }

  function follow(stream: EventStream, viewer: Viewer, received: VectorCursor): void {
    const { peer, onClosed } = stream;
    const { expiresAt } = viewer.principal;
    const frame = (text: string): Uint8Array => peer.wire.frame(text);
    const end = (): void => peer.close(1000, 'the stream has ended');
    const reader = withWire(peer, eventWire(peer.wire));
    const say = (said: ErrorFrame): void => reader.send(reader.wire.frame(JSON.stringify(said)));
    let told = false;
    let telling = false;
    /** After what this tick brings: where all channels are. */
    const tell = (): void => {
      if (telling) return;
      telling = true;
      clock.soon(() => {
        telling = false;
        peer.send(frame(writeSseId(idOf(mailbox))));
      });
    };
    const mailbox = mailboxes.open({
      ...viewer,
      received,
      peer: reader,
      // Who is told of others, too, reads two logs.
      ...(!viewer.arrive && { alone: positionedDialects(peer.wire) }),
      onSent: (_messages, moved) => moved && tell(),
      onLooked() {
        // Who loses the stream before the first message comes back with what it has, too.
        if (told || !mailbox.looked) return;
        told = true;
        tell();
      },
      onOver(why) {
        if (why === 'taken_over') say({ type: 'error', code: why, message: TAKEN_OVER });
        else if (typeof why === 'object') toWireError(why.error, report); // what is our own fault is noted there
        end();
      },
    });
    const release = viewer.hold?.();
    const stopTimer = expiresAt === undefined ? () => {} : clock.schedule(expiresAt, end);
    onClosed(() => {
      stopTimer();
      release?.();
      mailbox.close().catch((error: unknown) => report(`leaving what ${viewer.clientId} watched`, error));
    });
  }

  return {
    async open(c) {
      const { channel = [], ...queries } = c.req.queries();
      const query = parseBody(
        PushSseQuery,
        { ...Object.fromEntries(Object.entries(queries).map(([name, [value]]) => [name, value])), channel },
        'bad_request',
      );
      const received = new Map([...positionsOf(query.cursor), ...positionsOf(c.req.header('last-event-id'))]);
      const viewer = await viewerOf(c, query);
      const stream = openEventStream(c, { openStream, clock });
      follow(stream, viewer, received);
      return stream.response;
    },
  };
}

/** Where all channels are; where that is too long, those that no consumer remembers. */
function idOf(mailbox: Mailbox): string {
  const whole = encodeVectorCursor(mailbox.cursor);
  return whole.length <= MAX_ID ? whole : encodeVectorCursor(mailbox.untracked);
}

/** The same peer, for whoever makes frames of its own kind. */
function withWire(peer: Peer, wire: Wire): Peer {
  return {
    id: peer.id,
    wire,
    get bufferedBytes() {
      return peer.bufferedBytes;
    },
    send: (frame) => peer.send(frame),
    onceDrained: (run) => peer.onceDrained(run),
    close: (code, reason) => peer.close(code, reason),
  };
}
