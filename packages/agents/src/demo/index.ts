import type { Component } from '@continuo/protocol';
import { clerkAgent, echoAgent, slowAgent, storytellerAgent } from './agents.ts';
import { counterAgent } from './counter.ts';
import { reserverAgent } from './reserver.ts';
import { storyTeam } from './team.ts';
import { contentWorkflow } from './workflow.ts';

/** Scripted agents that need no model: for trying the gateway, and for its tests. */
export const demoAgents: readonly Component[] = [
  echoAgent,
  slowAgent,
  storytellerAgent,
  clerkAgent,
  reserverAgent,
  counterAgent,
  storyTeam,
  contentWorkflow,
];
export {
  clerkAgent,
  contentWorkflow,
  counterAgent,
  echoAgent,
  reserverAgent,
  slowAgent,
  storyTeam,
  storytellerAgent,
};
