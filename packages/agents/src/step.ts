import type { SteerMessage } from '@continuo/protocol';
import type { ProviderMetadata } from 'ai';

/** A call that a model asked for. */
export interface Call {
  readonly type: 'call';
  /** Unlike any other of its run. */
  readonly callId: string;
  readonly name: string;
  /** As the model wrote them, or `{}` where that was no JSON object. */
  readonly args: unknown;
  /** Why the call cannot be run: told to the model. */
  readonly problem?: string;
  /** What the provider wants to see again with the part. */
  readonly options?: ProviderMetadata;
}

export type StepPart =
  | Call
  | { readonly type: 'text' | 'reasoning'; readonly text: string; readonly options?: ProviderMetadata };

/** All that a model said in one answer, in its order. Plain JSON: it is stored, and read when a run starts over. */
export interface Step {
  readonly parts: readonly StepPart[];
  /** What was sent to the run since the step before, and told to the model first. */
  readonly steered?: readonly SteerMessage[];
  /** What the answer took, where the endpoint says it. */
  readonly usage?: Usage;
}

export interface Usage {
  readonly inputTokens: number;
  readonly outputTokens: number;
}

export function callsOf({ parts }: Step): readonly Call[] {
  return parts.filter((part) => part.type === 'call');
}

export function textOfStep({ parts }: Step): string {
  return parts.map((part) => (part.type === 'text' ? part.text : '')).join('');
}
