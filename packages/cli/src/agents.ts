import { assistantFromEnvironment, demoAgents } from '@continuo/agents';
import type { Component } from '@continuo/protocol';
import type { Environment } from './config/settings.ts';

/** The agent `assistant` on the model that the environment names; `null` where it names none. */
export type AssistantOf = (environment: Environment) => Component | null;

/** What is served: what is configured; else the assistant, where there is a model, and the demos. */
export function agentsOf(
  configured: readonly Component[] | null,
  environment: Environment,
  assistant: AssistantOf = assistantFromEnvironment,
): readonly Component[] {
  if (configured) return configured;
  const first = assistant(environment);
  return first ? [first, ...demoAgents] : demoAgents;
}
