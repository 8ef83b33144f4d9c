import type { Content, HistoryMessage, SteerMessage } from '@continuo/protocol';
import type { AssistantModelMessage, JSONValue, ModelMessage, ToolModelMessage, UserModelMessage } from 'ai';
import type { Step } from './step.ts';
import type { ToolOutcome } from './tool-calls.ts';

/** A message as a model reads it: an object becomes its JSON. */
export function textOf(content: Content): string {
  return typeof content === 'string' ? content : JSON.stringify(content);
}

/** The conversation up to and with the message to answer. A turn that ended without a word is left out. */
export function promptOf(history: readonly HistoryMessage[], input: Content): ModelMessage[] {
  return [
    ...history
      .map(({ role, content }) => ({ role, content: textOf(content) }))
      .filter(({ content }) => content !== ''), // endpoints refuse empty messages
    { role: 'user', content: textOf(input) },
  ];
}

/** Messages to a running agent, as its model reads them. */
export function steeringOf(steered: readonly SteerMessage[]): UserModelMessage[] {
  return steered.map(({ content }) => ({ role: 'user', content: textOf(content) }));
}

/** What a step adds to the conversation for the next one. */
export function messagesOf(step: Step, outcomes: readonly ToolOutcome[]): ModelMessage[] {
  const heard = steeringOf(step.steered ?? []);
  if (step.parts.every(({ type }) => type === 'reasoning')) return heard; // endpoints refuse a message without words
  const said: AssistantModelMessage = {
    role: 'assistant',
    content: step.parts.map((part) => {
      const options = part.options && { providerOptions: part.options };
      if (part.type !== 'call') return { type: part.type, text: part.text, ...options };
      const { callId: toolCallId, name: toolName, args: input } = part;
      return { type: 'tool-call', toolCallId, toolName, input, ...options };
    }),
  };
  const done: ToolModelMessage = {
    role: 'tool',
    content: outcomes.map(({ callId: toolCallId, name: toolName, ...outcome }) => ({
      type: 'tool-result',
      toolCallId,
      toolName,
      output:
        outcome.error === undefined
          ? typeof outcome.result === 'string'
            ? { type: 'text', value: outcome.result }
            : { type: 'json', value: (outcome.result ?? null) as JSONValue }
          : { type: 'error-text', value: outcome.error },
    })),
  };
  return [...heard, said, done]; // the SDK leaves out a message without results
}
