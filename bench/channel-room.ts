import { isDeepStrictEqual } from 'node:util';
import { maskedFrame } from './frames.ts';
import { ask, openPusher, publishFrame } from './systems.ts';
import { createViewer, type Room } from './viewers.ts';

const CHANNEL = 'news';

interface Subscribed {
  readonly cursor: number;
  readonly epoch: string;
  readonly recovered: boolean;
}

function subscribeFrame(position: Readonly<Record<string, unknown>> = {}): Buffer {
  return maskedFrame(
    JSON.stringify({ type: 'channel.subscribe', channel: CHANNEL, delivery: false, ...position }),
  );
}

/** A channel of door 2, without acks: a viewer comes back with the position it had. */
export async function openChannel(port: number): Promise<Room> {
  const publishing = publishFrame(CHANNEL);
  const first = await openPusher({ port });
  const { epoch, cursor }: Subscribed = JSON.parse(
    await ask(first, subscribeFrame(), '"channel.subscribed"'),
  );
  first.close();
  let before = cursor;
  let head = cursor;
  let resume = subscribeFrame({ since: head, epoch });
  return {
    async append(count) {
      const publisher = await openPusher({ port });
      publisher.send(Buffer.concat(Array.from({ length: count }, () => publishing)));
      before = head;
      for (let published = 0; published < count; published++)
        head = Math.max(head, JSON.parse(await publisher.next()).sequence);
      publisher.close();
      if (head !== before + count) throw new Error(`${head - before} messages were stored, not ${count}`);
      resume = subscribeFrame({ since: head, epoch });
    },
    async enter() {
      const client = await openPusher({ port });
      await ask(client, resume, '"channel.subscribed"');
      return createViewer(client, {
        dial: (onMessages) => openPusher({ port, onMessages }),
        messageBytes: 64,
        resumeFrame: () => resume,
        checkTexts([answer = '{}', ...replayed]) {
          const subscribed: Subscribed = JSON.parse(answer);
          const sequences = replayed.map((text) => {
            const { type, sequence } = JSON.parse(text);
            return type === 'channel_message' ? sequence : null;
          });
          const missed = Array.from({ length: head - before }, (_, index) => before + 1 + index);
          if (!subscribed.recovered || subscribed.epoch !== epoch || subscribed.cursor !== before)
            throw new Error(`a viewer was not recovered: ${answer}`);
          if (!isDeepStrictEqual(sequences, missed))
            throw new Error(`a viewer missed ${before + 1} to ${head} and got ${sequences}`);
        },
      });
    },
  };
}
