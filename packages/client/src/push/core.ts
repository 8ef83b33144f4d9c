import type { ChannelMessageFrame, Metadata, PushServerFrame } from '@continuo/protocol';
import { checkOption } from '../check-option.ts';
import { type Platform, platformOf, type SocketLike } from '../connection/platform.ts';
import { errorOf } from '../errors.ts';
import { createLink, type Link } from '../link.ts';
import { socketOf } from '../transports/adapter.ts';
import { dialWithFallback } from '../transports/fallback.ts';
import { dialPolling } from '../transports/polling.ts';
import type { PushFrame } from '../transports/transport.ts';
import { createEvents, type Events } from '../events.ts';
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
  readonly link: Link;
  readonly inbox: Inbox;
  readonly events: Events;
  readonly subscriptions: Subscriptions;
  clientId: string;
  /** `websocket`, `polling` or `custom`: the one that was greeted last. */
  transport: string;
  /** What every new connection says of the client. */
  presence: Presence | null;
}

export function createPushCore(options: PushClientOptions): PushCore {
  const { url, transport, fallbackToPolling = true, probeMs = 60_000 } = options;
  checkOption('url', url, 'string', URL.canParse(url));
  checkOption('probeMs', probeMs, 'number', probeMs > 0);
  const platform = platformOf(options);
  let stopBeat = (): void => {};

  const greeting = (): object => ({
    type: 'auth',
    token: link.token,
    client_id: core.clientId,
    capabilities: ['presence_batch'],
  });

  function dial(address: string): SocketLike {
    const dialWebSocket = (): SocketLike => platform.dial(address);
    if (transport) return socketOf(typeof transport === 'function' ? transport() : transport);
    if (!fallbackToPolling) return dialWebSocket();
    return dialWithFallback({
      dial: dialWebSocket,
      dialPolling: () => dialPolling({ ...options, platform }),
      greeting,
      probeMs,
      platform,
      onTransport(now) {
        core.transport = now;
      },
    });
  }

  const link = createLink({
    ...options,
    token: options.authToken,
    reconnect: options.autoReconnect,
    platform: { ...platform, dial },
    ears: options,
    greeting,
    maxBytes: () => MAX_FRAME,
    onFrame: (frame) => onFrame(frame as unknown as PushServerFrame),
    onBegin() {
      beat(core.presence);
      subscriptions.renew();
    },
    onBroke: () => stopBeat(),
    onEnd(error, reason) {
      subscriptions.end(error);
      inbox.end(reason);
      events.end(reason);
    },
  });
  const { connection, call, report } = link;
  /** Requests of the client itself: made anew for every connection. */
  const control = link.createOutbox(Number.MAX_VALUE);
  const ask = (frame: object): Promise<PushFrame> =>
    control.add({ id: platform.id(), frame, repeatable: false });
  const events = createEvents(call);
  const subscriptions = createSubscriptions({
    ask,
    isConnected: () => connection.status === 'connected',
    timer: platform.timer,
    report,
  });
  const inbox = createInbox({
    settle({ channel, eventId }, isHandled) {
      const type = isHandled ? 'message_ack' : 'message_nack';
      if (subscriptions.isAcked(channel))
        connection.send(JSON.stringify({ type, channel, event_id: eventId }));
    },
    report,
  });

  function beat(presence: Presence | null): void {
    ask({ type: 'presence.heartbeat', ...presence }).catch(() => {}); // presence may be switched off
    stopBeat = platform.timer(HEARTBEAT_MS, () => beat(null));
  }

  function onFrame(frame: PushServerFrame): void {
    switch (frame.type) {
      case 'authenticated':
        core.clientId = frame.client_id;
        return link.greeted();
      case 'channel_message':
        return onMessage(frame);
      case 'channel.reset': {
        const { type, channel, reason, from, to } = frame;
        subscriptions.reset(frame);
        if (reason === 'epoch') inbox.restart(channel);
        const message = `Messages of "${channel}" from ${from} to ${to} are gone (${reason}).`;
        if (!events.emit(frame, type)) report(errorOf({ ...frame, code: type, message }));
        return;
      }
      case 'presence_batch':
        for (const change of frame.changes) events.emit({ ...change, channel: frame.channel }, change.type);
        return;
      default:
        events.emit(frame, frame.type);
    }
  }

  function onMessage(frame: ChannelMessageFrame): void {
    const { channel, sequence } = frame;
    if (subscriptions.isLeft(channel)) return;
    subscriptions.saw(channel, sequence);
    inbox.take(messageOf(frame));
  }

  const core: PushCore = {
    platform,
    link,
    inbox,
    events,
    subscriptions,
    clientId: options.clientId ?? platform.id(),
    transport: transport ? 'custom' : 'websocket',
    presence: null,
  };
  return core;
}
