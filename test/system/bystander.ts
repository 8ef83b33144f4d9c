import { openRawSocket } from './raw-socket.ts';
import { until } from './waiting.ts';

/** Somebody who listens to stories while others misbehave: on one connection, which never comes back by itself. */
export interface Bystander {
  /** Rejects unless every event came once, in order, on the first connection, and another comes now. */
  check(): Promise<void>;
  /** Lets the story end. Rejects unless all of them were told whole. Returns how many there were. */
  finish(): Promise<number>;
}

interface Event {
  readonly type: string;
  readonly sequence: number;
  readonly data: {
    readonly content?: string;
    readonly message_id?: string;
    readonly outcome?: { readonly status: string };
  };
}

/** Time for the next word, and for the rest of a story, in ms. */
const WORD_MS = 5_000;
const STORY_MS = 20_000;

export async function openBystander({
  port,
  token,
}: {
  readonly port: number;
  readonly token?: string;
}): Promise<Bystander> {
  const events: Event[] = [];
  const problems: string[] = [];
  let isJoined = false;
  let isEnough = false;

  function onFrame(text: string): void {
    const frame = JSON.parse(text) as { readonly type: string; readonly event?: Event };
    if (frame.type === 'joined') {
      isJoined = true;
      ask();
    } else if (frame.event && frame.type === 'event') take(frame.event);
    else if (frame.type !== 'response') problems.push(`an unexpected frame: ${text.slice(0, 300)}`);
  }

  function take(event: Event): void {
    if (event.sequence !== events.length + 1)
      problems.push(`event ${event.sequence} in place of ${events.length + 1}`);
    events.push(event);
    if (event.type === 'response' && !isEnough) ask();
  }

  const socket = await openRawSocket({
    port,
    path: '/',
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    onFrame,
  });
  const ask = (): void => socket.send({ type: 'message', content: 'a story for a bystander' });
  socket.send({ type: 'join', agent_id: 'storyteller' });
  await until('the bystander joins', WORD_MS, () => isJoined && events.length > 0);

  function demandPeace(): void {
    if (socket.closeCode !== null || socket.socket.destroyed)
      problems.push(`its connection was closed with ${socket.closeCode}`);
    if (problems.length > 0) throw new Error(`the bystander noticed: ${problems.join('; ')}`);
  }

  return {
    async check() {
      const seen = events.length;
      await until('the bystander hears the next word', WORD_MS, () => {
        demandPeace();
        return events.length > seen;
      });
    },
    async finish() {
      isEnough = true;
      await until('the story ends', STORY_MS, () => {
        demandPeace();
        return events.at(-1)?.type === 'response';
      });
      const finals = events.filter(({ type }) => type === 'response');
      for (const { data } of finals) {
        const told = events
          .filter((event) => event.type === 'token_stream' && event.data.message_id === data.message_id)
          .map((event) => event.data.content)
          .join('');
        if (data.outcome?.status !== 'ok' || told !== data.content || told !== finals[0]?.data.content)
          throw new Error(`a story was not told whole: ${data.outcome?.status}, ${told.length} characters`);
      }
      socket.cut();
      return finals.length;
    },
  };
}
