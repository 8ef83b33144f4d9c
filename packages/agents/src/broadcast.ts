import type { AgentRunner, Component, Content } from '@continuo/protocol';
import { MemberError } from './failure.ts';
import { type AgentEdge, runnerOf } from './loop.ts';
import { type MemberResult, memberIdOf, runMember } from './member.ts';
import { textOf } from './prompt.ts';
import { settleAll, unlessPaused } from './settle.ts';
import type { TeamOptions } from './team.ts';
import { together } from './together.ts';

/**
 * All members answer the message at once. The leader writes one answer from theirs; without a model theirs are put
 * together. A member that failed is named; when all have, the team has.
 */
export function broadcastOf(options: TeamOptions, edge: AgentEdge): AgentRunner {
  const { members, model, instructions = '' } = options;
  const told = `${instructions}\n\nYou lead a team. Its members have answered the message: write one answer from theirs.`;
  const leader = model === undefined ? null : runnerOf({ ...options, instructions: told.trim() }, edge);

  return async function* broadcast(context) {
    const stop = new AbortController();
    const signal = AbortSignal.any([context.signal, stop.signal]);
    try {
      const results = yield* together(signal, (emit) =>
        unlessPaused(
          settleAll(
            members.map((component) => {
              const runId = memberIdOf(context.runId, component.id);
              return runMember({ ...context, signal }, { component, input: context.input, runId }, emit);
            }),
          ),
        ),
      );
      if (results === null) return; // the engine pauses the run: a question is open
      const answers = sectionsOf(members, results);
      if (results.every(({ status }) => status === 'failed')) {
        throw new MemberError(`Every member of the team failed. ${answers.join(' ')}`);
      }
      const text = answers.join('\n\n');
      if (leader) {
        yield* leader({ ...context, input: questionOf(context.input, text) });
        return;
      }
      yield { type: 'text.delta', text };
      yield { type: 'text.completed', text };
    } finally {
      stop.abort(); // whoever stops reading has stopped the run
    }
  };
}

function sectionsOf(members: readonly Component[], results: readonly MemberResult[]): readonly string[] {
  return results.map((result, index) => {
    const name = members[index]?.name ?? '';
    return result.status === 'failed' ? `${name} failed: ${result.reason}` : `${name}:\n${result.content}`;
  });
}

function questionOf(input: Content, answers: string): string {
  return `The message:\n${textOf(input)}\n\nThe answers of the members:\n\n${answers}`;
}
