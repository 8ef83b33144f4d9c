export { type ContinuoConfig, defineConfig, env, type JwtConfig } from './config/define.ts';
