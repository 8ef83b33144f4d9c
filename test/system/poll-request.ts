import { request } from 'node:http';

export interface PollAnswer {
  readonly status: number;
  readonly json: Readonly<Record<string, unknown>>;
}

/** Posts to a poll route on a connection of its own. `null`: the answer did not arrive whole. */
export function pollRequest(port: number, path: string, body: object): Promise<PollAnswer | null> {
  return new Promise((resolve) => {
    const asking = request(
      { port, host: '127.0.0.1', path: `/api/push/poll/${path}`, method: 'POST', agent: false },
      (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => {
          text += chunk.toString();
        });
        response.on('error', () => resolve(null));
        response.on('close', () => resolve(response.complete ? answerOf(response.statusCode, text) : null));
      },
    );
    asking.on('error', () => resolve(null));
    asking.end(JSON.stringify(body));
  });
}

function answerOf(status: number | undefined, text: string): PollAnswer {
  return { status: status ?? 0, json: JSON.parse(text) as PollAnswer['json'] };
}
