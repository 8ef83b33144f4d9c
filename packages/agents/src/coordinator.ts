import type { AgentRunner } from '@continuo/protocol';
import { createHalt, handOverTool, listOf } from './hand-over.ts';
import { type AgentEdge, runnerOf } from './loop.ts';
import type { TeamOptions } from './team.ts';

/**
 * The leader hands work to members with a tool, side by side where one answer has several calls, and answers from what
 * they said. It is told of a member that failed.
 */
export function coordinatorOf(options: TeamOptions, edge: AgentEdge): AgentRunner {
  const { members, instructions = '' } = options;
  return async function* coordinate(context) {
    const halt = createHalt();
    const delegate = handOverTool({
      name: 'delegate',
      description: 'Has a member of your team do something, and gives you its answer.',
      members,
      needsMessage: true,
      halt,
      async resultOf(run) {
        const ended = await run();
        if (ended.status === 'failed') throw new Error(ended.reason);
        return ended.content;
      },
    });
    const told = `${instructions}\n\nYou lead a team. Give work to its members with the tool "delegate"; calls of one answer are done side by side. Then answer yourself. The members:\n${listOf(members)}`;
    yield* runnerOf({ ...options, instructions: told.trim(), tools: [delegate] }, edge)(context);
    halt.check();
  };
}
