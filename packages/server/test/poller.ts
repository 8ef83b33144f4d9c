import { PollBatch, PollRegistered } from '@continuo/protocol';
import type { z } from 'zod';
import type { Asked, TestGateway } from './gateway.ts';

export type Batch = z.infer<typeof PollBatch>;

/** A client of door 2 without a socket. */
export interface Poller {
  readonly clientId: string;
  readonly token: string;
  /** A request to one of its routes: its answer, or the code of its refusal. */
  ask(route: string, body?: object): Promise<unknown>;
  subscribe(channel: string, more?: object): Promise<void>;
  /** A poll under way: the answer is its `batch`. */
  begin(cursor?: string, timeout?: number): PollUnderWay;
  /** A poll that waits for nothing that is not there. */
  poll(cursor?: string): Promise<Batch>;
  ack(eventId: string, channel?: string): Promise<boolean>;
  /** The same client, at another server of the store. */
  at(gateway: TestGateway): Poller;
}

export interface PollUnderWay {
  readonly asked: Asked;
  batch(): Promise<Batch>;
}

export async function register(gateway: TestGateway, clientId: string, token?: string): Promise<Poller> {
  const { body } = await gateway.post('/api/push/poll/register', { client_id: clientId }, { token });
  const { poll_token, client_id } = PollRegistered.parse(body);
  return createPoller(gateway, client_id, poll_token);
}

function createPoller(gateway: TestGateway, clientId: string, token: string): Poller {
  async function post(route: string, body: object): Promise<unknown> {
    const { status, body: answer } = await gateway.post(`/api/push/poll/${route}`, {
      poll_token: token,
      ...body,
    });
    if (status !== 200) throw new Error(`${route}: ${status} ${JSON.stringify(answer)}`);
    return answer;
  }

  function begin(cursor?: string, timeout = 30): PollUnderWay {
    const body = { poll_token: token, timeout, ...(cursor !== undefined && { cursor }) };
    const asked = gateway.ask('POST', '/api/push/poll/messages', { body });
    return {
      asked,
      async batch() {
        const { status, body: answer } = await asked.answer();
        if (status !== 200) throw new Error(`messages: ${status} ${JSON.stringify(answer)}`);
        return PollBatch.parse(answer);
      },
    };
  }

  return {
    clientId,
    token,
    async ask(route, body) {
      const { body: answer } = await gateway.post(`/api/push/poll/${route}`, { poll_token: token, ...body });
      const { error } = answer as { readonly error?: { readonly code: string } };
      return error ? error.code : answer;
    },
    async subscribe(channel, more) {
      await post('subscribe', { channel, ...more });
    },
    begin,
    async poll(cursor) {
      const { batch } = begin(cursor, 1);
      await gateway.clock.advance(1_000);
      return batch();
    },
    async ack(eventId, channel) {
      const { ok } = (await post('ack', {
        event_id: eventId,
        ...(channel !== undefined && { channel }),
      })) as {
        ok: boolean;
      };
      return ok;
    },
    at: (other) => createPoller(other, clientId, token),
  };
}

/** `sequence` of every message, with a `+` where it may have been seen before; `reset` for a lost position. */
export function told({ messages }: Pick<Batch, 'messages'>): string[] {
  return messages.map((message) => {
    if (message.type === 'channel.reset') return `reset ${message.from}-${message.to}`;
    if (message.type !== 'channel_message') return message.type;
    return `${message.sequence}${message._redelivered ? '+' : ''}`;
  });
}
