export { type AgentOptions, defineAgent } from './agent.ts';
export { assistantFromEnvironment } from './assistant.ts';
export {
  clerkAgent,
  contentWorkflow,
  counterAgent,
  demoAgents,
  echoAgent,
  reserverAgent,
  slowAgent,
  storyTeam,
  storytellerAgent,
} from './demo/index.ts';
export type { Environment, ModelObject } from './model.ts';
export { ModelError } from './model-error.ts';
export { defineTool, type Tool, type ToolContext, type ToolOptions } from './tool.ts';
export { defineTeam, type TeamOptions } from './team.ts';
export { defineWorkflow, type WorkflowOptions } from './workflow.ts';
export {
  condition,
  type LoopEnd,
  loop,
  parallel,
  type StepFunction,
  type StepGiven,
  type StepOptions,
  step,
  type When,
  type WorkflowStep,
} from './workflow-step.ts';
