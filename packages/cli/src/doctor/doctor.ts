import { type Environment, isLoopback, type Settings } from '../config/settings.ts';
import { UsageError } from '../fail.ts';
import { type Finding, tableOf } from './finding.ts';
import { lookAtFiles, lookAtNode, lookAtPort } from './machine.ts';
import { lookAtModel } from './model.ts';
import { lookAtClock, lookAtStore } from './store.ts';

export interface DoctorOptions {
  readonly environment: Environment;
  /** The settings as `serve` would have them. Throws a `UsageError` when they are wrong. */
  settings(): Promise<{ readonly settings: Settings; readonly configFile: string | null }>;
}

/** Looks at everything that `serve` needs. `healthy`: nothing is wrong. */
export async function examine(
  options: DoctorOptions,
): Promise<{ readonly report: string; readonly healthy: boolean }> {
  const { environment } = options;
  const findings: Finding[] = [lookAtNode(process.versions.node, Boolean(process.features.typescript))];
  try {
    const { settings, configFile } = await options.settings();
    findings.push(
      { what: 'config', found: configFile ?? 'no file; the command line, the environment and the defaults' },
      lookAtAccess(settings),
      await lookAtPort(settings),
      await lookAtStore(settings),
      lookAtClock(settings, Date.now()),
      lookAtFiles(settings),
    );
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    const remedy = 'mend it: what depends on it was not looked at';
    findings.push({ what: 'config', found: error.message, remedy });
  }
  findings.push(await lookAtModel(environment));
  return { report: tableOf(findings), healthy: findings.every(({ remedy }) => remedy === undefined) };
}

function lookAtAccess({ auth, host }: Settings): Finding {
  const what = 'access';
  const ways = [
    ...(auth.tokens.length > 0
      ? [`${auth.tokens.length} static token${auth.tokens.length > 1 ? 's' : ''}`]
      : []),
    ...(auth.jwt
      ? [`JWTs signed with ${'secret' in auth.jwt ? 'a secret (HS256)' : "an issuer's keys"}`]
      : []),
  ];
  if (ways.length > 0) return { what, found: ways.join(', ') };
  if (isLoopback(host)) return { what, found: 'no token: this machine only' };
  const remedy = 'set CONTINUO_TOKEN: the gateway does not start beyond loopback without one';
  return { what, found: `no token, and ${host} is beyond this machine`, remedy };
}
