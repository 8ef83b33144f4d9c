import type { ChannelMessageFrame, Metadata, PushServerFrame } from '@continuo/protocol';
import { checkOption } from '../check-option.ts';
import { type Connection, createConnection } from '../connection/connection.ts';
import { createLobby, type Lobby } from '../connection/lobby.ts';
import { createOutbox } from '../connection/outbox.ts';
import { type Platform, type SocketLike, systemPlatform } from '../connection/platform.ts';
import { ruleOfCode } from '../connection/retry.ts';
import { createTokens, type Reason } from '../connection/tokens.ts';
import { endOf, errorOf } from '../errors.ts';
import { termsOf } from '../options.ts';
import { report as tell } from '../reporter.ts';
import { socketOf } from '../transports/adapter.ts';
import { dialWithFallback } from '../transports/fallback.ts';
import { dialPolling } from '../transports/polling.ts';
import type { PushFrame } from '../transports/transport.ts';
import { dialWebSocket } from '../transports/websocket.ts';
import { createEvents, type Events } from './events.ts';
import { createInbox, type Inbox } from './inbox.ts';
import { messageOf } from './message.ts';
import type { PushClientOptions } from './options.ts';
import { createSubscriptions, type Subscriptions } from './subscriptions.ts';

/** The client says that it is there, this often, in ms. */
const HEARTBEAT_MS = 15_000;
/** Of a frame: gateways take no larger one, in bytes. */
const MAX_FRAME = 1024 * 1024;

export interface Presence {
  readonly status: string;
  readonly metadata: Metadata | undefined;
}

/** What a push client is made of: one connection after the other, and what outlives them. */
export interface PushCore {
  readonly platform: Platform;
  readonly connection: Connection;
  readonly lobby: Lobby;
  readonly inbox: Inbox;
  readonly events: Events;
  readonly subscriptions: Subscriptions;
  readonly clientId: string;
  /** `websocket`, `polling` or `custom`: the one that was greeted last. */
  readonly transport: string;
  /** What every new connection says of the client. */
  presence: Presence | null;
  /** A request of the application: sent again until it is answered. Throws the reason of the end after it. */
  request(frame: object): Promise<PushFrame>;
  disconnect(): void;
  report(error: unknown): void;
}

export function createPushCore(options: PushClientOptions): PushCore {
  const { url, WebSocket, fetch, transport, fallbackToPolling = true, probeMs = 60_000 } = options;
  checkOption('url', url, 'string', URL.canParse(url));
  checkOption('probeMs', probeMs, 'number', probeMs > 0);
  const platform = { ...systemPlatform, ...options.platform };
  const tokens = createTokens(options.authToken);
  let clientId = options.clientId ?? platform.id();
  let name = transport ? 'custom' : 'websocket';
  let stopBeat = (): void => {};

  const report = (error: unknown): void => tell(error, options.onError);
  const call = (callback: () => void): void => {
    try {
      callback();
    } catch (error) {
      report(error);
    }
  };
  const isConnected = (): boolean => connection.status === 'connected';
  const greeting = (): object => ({
    type: 'auth',
    token: tokens.current,
    client_id: clientId,
    capabilities: ['presence_batch'],
  });
  const send = (text: string): boolean => connection.send(text);
  const maxBytes = (): number => MAX_FRAME;
  const outbox = createOutbox({ send, maxBytes });
  /** Requests of the client itself: made anew for every connection. */
  const control = createOutbox({ send, maxBytes, limit: Number.MAX_VALUE });
  const ask = (frame: object): Promise<PushFrame> =>
    control.add({ id: platform.id(), frame, repeatable: false });
  const events = createEvents(call);
  const subscriptions = createSubscriptions({ ask, isConnected, timer: platform.timer, report });
  const inbox = createInbox({
    settle({ channel, eventId }, isHandled) {
      const type = isHandled ? 'message_ack' : 'message_nack';
      if (subscriptions.isAcked(channel)) send(JSON.stringify({ type, channel, event_id: eventId }));
    },
    report,
  });

  function dial(): SocketLike {
    const dialed = (): SocketLike => dialWebSocket({ url, WebSocket, platform });
    if (transport) return socketOf(typeof transport === 'function' ? transport() : transport);
    if (!fallbackToPolling) return dialed();
    return dialWithFallback({
      dial: dialed,
      dialPolling: () => dialPolling({ url, fetch, platform }),
      greeting,
      probeMs,
      platform,
      onTransport(now) {
        name = now;
      },
    });
  }

  const connection = createConnection({
    url,
    platform: { ...platform, dial },
    tokens,
    terms: termsOf({ ...options, reconnect: options.autoReconnect }),
    greeting,
    ping: { type: 'ping' },
    onFrame: (frame) => onFrame(frame as unknown as PushServerFrame),
    onStatus(status) {
      if (status === 'connected') begin();
      else broke();
      call(() => options.onStateChange?.(status));
    },
    onEnd,
    onProblem: report,
  });

  function disconnect(): void {
    if (connection.status === 'disconnected') onEnd(null);
    else connection.disconnect();
  }
  const lobby = createLobby(connection, disconnect);

  /** The connection is new. */
  function begin(): void {
    beat(core.presence);
    subscriptions.renew();
    outbox.flush();
  }

  function beat(presence: Presence | null): void {
    ask({ type: 'presence.heartbeat', ...presence }).catch(() => {}); // presence may be switched off
    stopBeat = platform.timer(HEARTBEAT_MS, () => beat(null));
  }

  function broke(): void {
    stopBeat();
    outbox.broke();
    control.broke();
  }

  function onEnd(reason: Reason | null): void {
    const error = endOf(reason ?? 'disconnect() was called.');
    stopBeat();
    lobby.settle(error);
    for (const each of [outbox, control, subscriptions]) each.end(error);
    for (const each of [inbox, events]) each.end(reason === null ? undefined : error);
  }

  function onFrame(frame: PushServerFrame): void {
    if (frame.type === 'error' && frame.code === 'unauthorized')
      return connection.refused(errorOf(frame), 'with-new-token');
    if (outbox.answer(frame) || control.answer(frame)) return;
    if ('retry_after_ms' in frame) connection.hint(frame.retry_after_ms);
    switch (frame.type) {
      case 'authenticated':
        return onGreeting(frame.client_id);
      case 'channel_message':
        return onMessage(frame);
      case 'channel.reset': {
        const { type, channel, reason, from, to } = frame;
        subscriptions.reset(frame);
        if (reason === 'epoch') inbox.restart(channel);
        const message = `Messages of "${channel}" from ${from} to ${to} are gone (${reason}).`;
        if (!events.emit(type, frame)) report(errorOf({ ...frame, code: type, message }));
        return;
      }
      case 'presence_batch':
        for (const change of frame.changes) events.emit(change.type, { ...change, channel: frame.channel });
        return;
      case 'error': {
        const error = errorOf(frame);
        if (isConnected()) return report(error);
        return connection.refused(error, ruleOfCode(error.code));
      }
      default:
        events.emit(frame.type, frame);
    }
  }

  function onMessage(frame: ChannelMessageFrame): void {
    const { channel, sequence } = frame;
    if (subscriptions.isLeft(channel)) return;
    subscriptions.saw(channel, sequence);
    inbox.take(messageOf(frame));
  }

  function onGreeting(id: string): void {
    clientId = id;
    if (isConnected()) {
      broke(); // the transport is another one: what was asked over the old one is asked anew
      return begin();
    }
    connection.greeted();
    lobby.settle(null);
  }

  const core: PushCore = {
    platform,
    connection,
    lobby,
    inbox,
    events,
    subscriptions,
    get clientId() {
      return clientId;
    },
    get transport() {
      return name;
    },
    presence: null,
    async request(frame) {
      if (lobby.end) throw lobby.end;
      return outbox.add({ id: platform.id(), frame, repeatable: true });
    },
    disconnect,
    report,
  };
  return core;
}
