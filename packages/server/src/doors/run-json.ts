import {
  type Component,
  type ComponentJson,
  componentFields,
  type RunOutput,
  type RunStatus,
  type RunSummary,
  toRun,
} from '@continuo/protocol';
import type { RunState } from '../core/run.ts';
import type { Run, RunReport, RunListing, RunStanding } from '../core/runs.ts';

/** What door 4 says of components and runs. */

export const STATUS: Readonly<Record<RunStanding, RunStatus>> = {
  pending: 'PENDING',
  running: 'RUNNING',
  paused: 'PAUSED',
  completed: 'COMPLETED',
  cancelled: 'CANCELLED',
  failed: 'ERROR',
  interrupted: 'ERROR',
  rejected: 'ERROR',
};

/** What a run that ended as `ERROR` ended of; of another, nothing. */
export function errorOf({ status, reason, code }: RunState): { error_type?: string; error?: string } {
  if (STATUS[status] !== 'ERROR') return {};
  return {
    error_type: code ?? (status === 'failed' ? 'error' : status),
    ...(reason !== undefined && { error: reason }),
  };
}

export function describeComponent(
  { id, name, description, mode, members }: Component,
  storeName: string,
): ComponentJson {
  return {
    id,
    name,
    db_id: storeName,
    ...(description !== undefined && { description }),
    ...(mode && { mode }),
    ...(members && { members: [...members] }),
  };
}

/** Kind, id and name of a component by the name that records bear, such as `team:story-team`; of one that is gone, its id. */
export function whoseOf(
  component: string,
  components: readonly Component[],
): { readonly kind: Component['kind'] } & Readonly<Record<string, string>> {
  const known = components.find(({ kind, id }) => `${kind}:${id}` === component);
  if (known) return { kind: known.kind, ...componentFields(known) };
  const id = component.slice(component.indexOf(':') + 1);
  const kind = component.startsWith('team:')
    ? 'team'
    : component.startsWith('workflow:')
      ? 'workflow'
      : 'agent';
  return { kind, ...componentFields({ kind, id, name: id }) };
}

export function summaryOf(
  run: RunListing,
  standing: RunStanding,
  components: readonly Component[],
): RunSummary {
  return {
    run_id: run.runId,
    session_id: run.sessionId,
    ...whoseOf(run.component, components),
    status: STATUS[standing],
    message: run.preview,
    ...(run.isCut && { message_truncated: true }),
    created_at: Math.floor(run.createdAt / 1000),
  };
}

export function outputOf({ state, entries }: RunReport, run: Run, component: Component): RunOutput {
  const content = state?.text ?? '';
  const events = entries.map((entry) => toRun(entry, run.sessionId));
  const metrics = entries.at(-1)?.type === 'run.ended' ? events.at(-1)?.metrics : undefined;
  return {
    run_id: run.runId,
    session_id: run.sessionId,
    ...componentFields(component),
    content,
    status: state ? STATUS[state.status] : 'PENDING',
    ...(state && errorOf(state)),
    events,
    events_truncated: (entries[0]?.offset ?? 1) > 1,
    messages: [
      { role: 'user' as const, content: run.input },
      ...(content ? [{ role: 'assistant' as const, content }] : []),
    ],
    metrics: { ...(typeof metrics === 'object' && metrics) },
    created_at: Math.floor(run.createdAt / 1000),
  };
}
