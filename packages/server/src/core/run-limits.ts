import { type AgentOutput, type RunLimits, WireError } from '@continuo/protocol';
import { addUsed, type Used } from './run.ts';

/** What a run may take where neither its component nor the gateway says otherwise. */
export const RUN_LIMITS: RunLimits = {
  timeMs: 3_600_000,
  toolCalls: 1_000,
  tokens: Number.POSITIVE_INFINITY,
  depth: 5,
};

/** Counts what a run takes. */
export interface Meter {
  readonly used: Used;
  /** Throws what ends the run when this event is beyond a limit. */
  count(output: AgentOutput): void;
}

export function createMeter(limits: RunLimits, before: Used): Meter {
  let used = before;
  return {
    get used() {
      return used;
    },
    count(output) {
      if (output.type !== 'usage' && output.type !== 'tool.started') return;
      used = addUsed(used, output);
      if (used.toolCalls > limits.toolCalls) {
        throw beyond('tool_call_limit', `The run asked for more than ${limits.toolCalls} tool calls.`);
      }
      if (used.inputTokens + used.outputTokens > limits.tokens) {
        throw beyond('token_limit', `The run took more than ${limits.tokens} tokens.`);
      }
    },
  };
}

export function beyondTime(limits: RunLimits): WireError {
  return beyond('time_limit', `The run took longer than ${limits.timeMs / 1_000} s.`);
}

function beyond(code: string, what: string): WireError {
  return new WireError('invalid', `${what} Ask for less at once, or raise its limits.`, {
    details: { code },
  });
}

/** Throws a sentence that names the limit that makes no sense. */
export function checkRunLimits(limits: Partial<RunLimits>, whose: string): void {
  for (const [name, value] of Object.entries(limits)) {
    if (!(name in RUN_LIMITS)) throw new RangeError(`${whose}: there is no limit "${name}"`);
    if (typeof value !== 'number' || !(value >= (name === 'timeMs' ? 1 : 0)))
      throw new RangeError(`${whose}: limits.${name} must be a number above 0, not ${String(value)}`);
  }
}
