import type { AgentOutput, AgentRunner } from '@continuo/protocol';
import { MemberError } from './failure.ts';
import { createHalt, handOverTool, listOf } from './hand-over.ts';
import { type AgentEdge, runnerOf } from './loop.ts';
import type { TeamOptions } from './team.ts';

/**
 * The leader picks one member, whose answer is the team's, word for word; its failure is the team's too. What the leader
 * itself says counts only where it picks none.
 */
export function routerOf(options: TeamOptions, edge: AgentEdge): AgentRunner {
  const { id, members, instructions = '' } = options;
  return async function* route(context) {
    const halt = createHalt();
    const failed: AgentOutput[] = [];
    let isChosen = false;
    const tool = handOverTool({
      name: 'route',
      description: 'Has one member of your team answer. Without a message it gets the one that you got.',
      members,
      needsMessage: false,
      halt,
      async resultOf(run, { callId }) {
        if (isChosen) throw new Error('A member was chosen already, and it answers alone.');
        isChosen = true;
        const ended = await run();
        if (ended.status === 'completed') return ended.content;
        failed.push({ type: 'tool.failed', callId, name: 'route', error: ended.reason });
        throw halt.because(new MemberError(ended.reason));
      },
    });
    const told = `${instructions}\n\nYou lead a team. Pick the one member that is to answer, with the tool "route", and say nothing yourself. The members:\n${listOf(members)}`;
    const leader = runnerOf({ ...options, instructions: told.trim(), tools: [tool] }, edge);

    let text = '';
    for await (const event of leader(context)) {
      if (event.by) yield event;
      else if (event.type === 'text.delta') text += event.text;
      else if (event.type === 'text.completed') text = event.text;
      else {
        yield event;
        if (event.type === 'tool.completed') {
          yield* answer(String(event.result)); // the leader is not asked again
          return;
        }
      }
    }
    yield* failed;
    halt.check();
    if (isChosen) return; // it has asked a person
    if (!text)
      throw new MemberError(`The team "${id}" chose nobody to answer. Say more clearly what you want.`);
    yield* answer(text);
  };
}

function* answer(text: string): Generator<AgentOutput> {
  if (!text) return;
  yield { type: 'text.delta', text };
  yield { type: 'text.completed', text };
}
