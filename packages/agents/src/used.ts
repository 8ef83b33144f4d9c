import type { AgentOutput } from '@continuo/protocol';

/** What was taken, members' included. Stored as it is. */
export interface Used {
  readonly toolCalls: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
}

export const UNUSED: Used = { toolCalls: 0, inputTokens: 0, outputTokens: 0 };

/** With what this event says was taken: as the engine counts it. */
export function addUsed(used: Used, event: AgentOutput): Used {
  if (event.type === 'tool.started') return { ...used, toolCalls: used.toolCalls + 1 };
  if (event.type !== 'usage') return used;
  const { toolCalls = 0, inputTokens, outputTokens } = event;
  return {
    toolCalls: used.toolCalls + toolCalls,
    inputTokens: used.inputTokens + inputTokens,
    outputTokens: used.outputTokens + outputTokens,
  };
}

/** What tells the engine all of it at once, where what took it is shown in brief; none where nothing was taken. */
export function usageOf(used: Used): readonly (AgentOutput & { readonly type: 'usage' })[] {
  const isNone = used.toolCalls === 0 && used.inputTokens === 0 && used.outputTokens === 0;
  return isNone ? [] : [{ type: 'usage', ...used }];
}
