import { openRawSocket } from './raw-socket.ts';

const PAGE = 1_000;

export interface GivenUp {
  readonly clientId: string;
  readonly eventId: string;
}

/** All dead letters of the channels, as `channel.dead_letters` pages through them. */
export async function deadLettersOf(port: number, channels: readonly string[]): Promise<readonly GivenUp[]> {
  const socket = await openRawSocket({ port, path: '/ws' });
  const found: GivenUp[] = [];
  let request = 0;
  for (const channel of channels) {
    let since = 0;
    for (let isMore = true; isMore; ) {
      const request_id = ++request;
      socket.send({ type: 'channel.dead_letters', channel, since, limit: PAGE, request_id });
      const answer = await socket.frame((frame) => frame.request_id === request_id);
      if (answer.type !== 'channel.dead_letters') throw new Error(JSON.stringify(answer));
      const letters = answer.messages as readonly { readonly client_id: string; readonly event_id: string }[];
      for (const { client_id, event_id } of letters) found.push({ clientId: client_id, eventId: event_id });
      since = Number(answer.cursor);
      isMore = answer.more === true;
    }
  }
  socket.cut();
  return found;
}
