import type { AgentOutput, Component, RunContext } from '@continuo/protocol';
import { createGateway, NO_LIMITS, openSqliteStore, systemClock } from '@continuo/server';
import { RUN_EVENTS } from '../long-run.ts';
import { TOKEN } from '../systems.ts';
import { reportToBench } from './report.ts';

/** The product on the SQLite file of its argument, with an agent whose run is long. */

/** Words of about twenty characters; some are more bytes than characters. */
const WORDS = [
  'a word of the answer',
  'und ein längeres Wort',
  'something else again',
  'a “quoted” beginning',
];
/** So many deltas stand between two tool calls. */
const DELTAS = 98;

async function* speak({ runId }: RunContext): AsyncGenerator<AgentOutput> {
  // Beside these there are the start, the whole text and the end.
  for (let index = 0; index < RUN_EVENTS - 3; index++) {
    const place = index % (DELTAS + 2);
    const call = { callId: `${runId}.call${Math.floor(index / (DELTAS + 2))}`, name: 'look_up' };
    if (place === DELTAS) yield { type: 'tool.started', ...call, args: { index } };
    else if (place > DELTAS) yield { type: 'tool.completed', ...call, result: `result of ${index}` };
    else yield { type: 'text.delta', text: `${WORDS[index % WORDS.length]} ` };
  }
}

const speaker: Component = {
  kind: 'agent',
  id: 'speaker',
  name: 'Speaker',
  run: speak,
  deltaJoinMs: 0,
  limits: { toolCalls: RUN_EVENTS },
};

const gateway = createGateway({
  agents: [speaker],
  store: await openSqliteStore({ path: process.argv[2] ?? '', clock: systemClock }),
  tokens: [{ token: TOKEN }],
  limits: NO_LIMITS,
});
const { port } = await gateway.listen({ port: 0 });
reportToBench(port);
