import { createSeededRandom } from '@continuo/testing';
import { describe, expect, it } from 'vitest';
import { openGateway, type TestGateway } from '../../test/gateway.ts';
import { createLife } from '../../test/life.ts';
import { range } from '../../test/pick.ts';
import type { TestSocket } from '../../test/socket.ts';

const CLIENTS = 200;
const CHANNELS = ['a', 'b', 'c', 'd'];
const SEEDS = [1, 2, 3];

interface Subscriber {
  readonly clientId: string;
  readonly gateway: TestGateway;
  readonly socket: TestSocket;
  readonly channels: Set<string>;
}

/** Who is on a channel, by the newest list that a client got of it and the changes after it. */
function knownTo({ socket, clientId }: Subscriber, channel: string): readonly string[] {
  const known = new Set<string>();
  for (const frame of socket.frames) {
    if (!('channel' in frame) || frame.channel !== channel) continue;
    if (frame.type === 'presence.list') {
      known.clear();
      for (const { client_id } of frame.presence) known.add(client_id);
    } else if (frame.type === 'presence_batch') {
      for (const { type, data } of frame.changes) note(known, type, data.client_id);
    } else if (frame.type === 'presence_join' || frame.type === 'presence_leave')
      note(known, frame.type, frame.data.client_id);
  }
  known.add(clientId); // it is not told of itself
  return [...known].sort();
}

function note(known: Set<string>, type: string, clientId: string): void {
  if (type === 'presence_leave') known.delete(clientId);
  else known.add(clientId);
}

describe('presence of 200 clients that come and go in waves on two gateways, one of which dies', () => {
  it.each(SEEDS)('P-21, P-25 is in the end on every client what it is: seed %i', async (seed) => {
    const random = createSeededRandom(seed);
    const here = openGateway();
    let die = (): void => {};
    const there = openGateway({
      beside: here,
      within(clock, store) {
        const life = createLife(clock, store);
        die = life.end;
        return life;
      },
    });
    const { clock } = here;
    let living: readonly TestGateway[] = [here, there];
    let subscribers: Subscriber[] = [];

    async function come(clientId: string): Promise<void> {
      const gateway = random.pick(living) ?? here;
      const capabilities = random.chance(0.5) ? ['presence_batch'] : [];
      const socket = await gateway.socket('/ws');
      socket.post({ type: 'auth', client_id: clientId, capabilities });
      const channels = new Set(CHANNELS.filter(() => random.chance(0.4)));
      for (const channel of channels) {
        socket.post({ type: 'channel.subscribe', channel });
        socket.post({ type: 'presence.query', channel });
      }
      subscribers.push({ clientId, gateway, socket, channels });
      if (random.chance(0.3)) await clock.settle();
    }

    async function wave(): Promise<void> {
      for (const number of range(1, CLIENTS)) {
        const clientId = `c${number}`;
        const known = subscribers.find((each) => each.clientId === clientId);
        if (!known) {
          if (random.chance(0.6)) await come(clientId);
        } else if (random.chance(0.3)) {
          subscribers = subscribers.filter((each) => each !== known);
          void known.socket.hangUp();
          if (random.chance(0.5)) await come(clientId); // at once, on whatever server
        }
      }
      await clock.advance(random.int(0, 3_000));
    }

    for (const _wave of range(1, 3)) await wave();
    die();
    living = [here];
    subscribers = subscribers.filter(({ gateway }) => gateway === here);
    await wave();
    await clock.advance(17_000);

    expect(subscribers.length).toBeGreaterThan(50);
    for (const channel of CHANNELS) {
      const present = subscribers.filter(({ channels }) => channels.has(channel));
      const names = present.map(({ clientId }) => clientId).sort();
      for (const subscriber of present)
        expect(knownTo(subscriber, channel), `${subscriber.clientId} on ${channel}`).toEqual(names);
    }
  });
});
