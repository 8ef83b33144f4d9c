import type { RunContext } from '@continuo/protocol';
import type { Call } from './step.ts';

/** What the answer of a person means for a call. */
export type Verdict =
  | { readonly kind: 'ask' | 'wait' | 'run' }
  /** Told to the model; the call is never run. */
  | { readonly kind: 'refuse'; readonly error: string };

/** Looks for the call's own question among those of the run. An answer is for exactly the arguments it was asked for. */
export function verdictOf({ callId, name, args }: Call, { runId, approvals }: RunContext): Verdict {
  const asked = approvals.findLast((approval) => approval.runId === runId && approval.callId === callId);
  if (!asked) return { kind: 'ask' };
  if (!asked.answer) return { kind: 'wait' };
  const { approved, note } = asked.answer;
  if (!approved) {
    return {
      kind: 'refuse',
      error: note ? `A person denied this call: ${note}` : 'A person denied this call.',
    };
  }
  if (asked.name !== name || canonical(asked.args) !== canonical(args)) {
    return { kind: 'refuse', error: 'A person allowed this call with other arguments: it was not run.' };
  }
  return { kind: 'run' };
}

/** JSON in which the order of keys does not matter. */
function canonical(value: unknown): string {
  return JSON.stringify(value ?? null, (_key, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
