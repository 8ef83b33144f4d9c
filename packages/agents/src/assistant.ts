import type { Component } from '@continuo/protocol';
import { createAgent } from './agent.ts';
import { type Environment, modelOf } from './model.ts';

const INSTRUCTIONS =
  'You are a helpful assistant. Answer in the language you are asked in, and say so when you do not know.';

/**
 * The agent `assistant`, where `CONTINUO_MODEL` names a model; `null` where it does not. Throws a sentence that names the
 * variable that is wrong.
 */
export function assistantFromEnvironment(env: Environment): Component | null {
  if (!env.CONTINUO_MODEL) return null;
  const { name: model } = modelOf(undefined, env);
  return createAgent(
    {
      id: 'assistant',
      name: 'Assistant',
      description: `Answers with the model ${model}.`,
      instructions: INSTRUCTIONS,
    },
    { env, now: Date.now },
  );
}
