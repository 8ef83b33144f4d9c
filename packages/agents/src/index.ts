export { type AgentOptions, defineAgent } from './agent.ts';
export { assistantFromEnvironment } from './assistant.ts';
export {
  clerkAgent,
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
