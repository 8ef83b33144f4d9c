import type { Component } from '@continuo/protocol';
import { clerkAgent, echoAgent, slowAgent, storytellerAgent } from './demo/agents.ts';
import { storyTeam } from './demo/team.ts';

/** Scripted agents that need no model: for trying the gateway, and for its tests. */
export const demoAgents: readonly Component[] = [
  echoAgent,
  slowAgent,
  storytellerAgent,
  clerkAgent,
  storyTeam,
];
export { clerkAgent, echoAgent, slowAgent, storyTeam, storytellerAgent };
export { type AgentOptions, defineAgent } from './agent.ts';
export { assistantFromEnvironment } from './assistant.ts';
export type { Environment, ModelObject } from './model.ts';
export { ModelError } from './model-error.ts';
export { defineTool, type Tool, type ToolContext, type ToolOptions } from './tool.ts';
