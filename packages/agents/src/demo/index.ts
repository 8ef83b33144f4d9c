import type { Component } from '@continuo/protocol';
import { clerkAgent, echoAgent, slowAgent, storytellerAgent } from './agents.ts';
import { storyTeam } from './team.ts';
import { contentWorkflow } from './workflow.ts';

/** Scripted agents that need no model: for trying the gateway, and for its tests. */
export const demoAgents: readonly Component[] = [
  echoAgent,
  slowAgent,
  storytellerAgent,
  clerkAgent,
  storyTeam,
  contentWorkflow,
];
export { clerkAgent, contentWorkflow, echoAgent, slowAgent, storyTeam, storytellerAgent };
