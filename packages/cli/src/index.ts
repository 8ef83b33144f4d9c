export { type ContinuoConfig, defineConfig, env } from './config/define.ts';
