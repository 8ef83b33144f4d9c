import { demoAgents } from '@continuo/agents/demo';
import type { Component } from '@continuo/protocol';
import type { Environment } from './config/settings.ts';

/** The agent `assistant` on the model that the environment names; `null` where it names none. */
export type AssistantOf = (environment: Environment) => Component | null | Promise<Component | null>;

/** What is served: what is configured; else the assistant, where there is a model, and the demos. */
export async function agentsOf(
  configured: readonly Component[] | null,
  environment: Environment,
  assistant: AssistantOf = assistantOf,
): Promise<readonly Component[]> {
  if (configured) return configured;
  const first = await assistant(environment);
  return first ? [first, ...demoAgents] : demoAgents;
}

/** What talks to models is loaded only where there is one: it takes 30 MB. */
async function assistantOf(environment: Environment): Promise<Component | null> {
  if (!environment.CONTINUO_MODEL) return null;
  const { assistantFromEnvironment } = await import('@continuo/agents');
  return assistantFromEnvironment(environment);
}
