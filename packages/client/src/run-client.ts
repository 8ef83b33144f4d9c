import type { ApprovalJson, RunAccepted, RunOutput, RunSummary } from '@continuo/protocol';
import { checkOption } from './check-option.ts';
import { BACKOFF, checkBackoff } from './connection/backoff.ts';
import { platformOf } from './connection/platform.ts';
import { createTokens } from './connection/tokens.ts';
import { ApprovalConflictError } from './errors.ts';
import type { RunClientEvent } from './run/follow.ts';
import { type Answer, createRunHandle, type RunHandle, type ToolAnswer } from './run/handle.ts';
import {
  type AttachOptions,
  checkId,
  componentPath,
  type RunClientOptions,
  type StartOptions,
} from './run/options.ts';
import { createRequests, type Requests } from './run/requests.ts';

/** A person waits: no pause is longer, in ms. */
const MAX_BACKOFF_MS = 5_000;
/** A key is a header. */
const KEY = /^[\x20-\x7e]{1,200}$/;

/**
 * Starts runs of agents, teams and workflows, and attaches to them. A run is started once, however often it had to be asked
 * for; it goes on whatever becomes of its client, and whoever knows its id may come back to it.
 */
export class RunClient {
  readonly #requests: Requests;

  constructor(options: RunClientOptions) {
    const { url, token, backoff, maxReconnectAttempts: maxAttempts = Number.MAX_VALUE } = options;
    checkOption('url', url, 'string', /^(ws|http)s?:\/\/[^?#]+$/i.test(url) && URL.canParse(url));
    checkOption('maxReconnectAttempts', maxAttempts, 'number', maxAttempts >= 0);
    if (token !== undefined && typeof token !== 'function') checkOption('token', token, 'string');
    this.#requests = createRequests({
      base: url.replace(/^ws/i, 'http').replace(/(\/ws)?\/*$/, ''),
      // Called as a function of its own: browsers want no other `this`.
      fetch: options.fetch ?? ((input, init) => fetch(input, init)),
      tokens: createTokens(token),
      backoff: checkBackoff({ ...BACKOFF, maxMs: MAX_BACKOFF_MS, ...backoff }),
      maxAttempts,
      platform: platformOf(options),
      onRetry: options.onRetry,
    });
  }

  /**
   * Resolves when the gateway has stored the run, which goes on by itself. Over a broken network, and where the gateway is
   * busy or not there yet, it is asked for again, as the same run. Rejects with what the gateway refuses.
   */
  async start(options: StartOptions): Promise<RunHandle> {
    const { message, sessionId, idempotencyKey = this.#requests.platform.id(), signal } = options;
    const path = componentPath(options);
    checkOption('agent, team or workflow', path, 'string');
    checkOption(
      'message',
      message === '' ? 'empty' : message,
      typeof message === 'object' ? 'object' : 'string',
      !!message,
    );
    checkId('idempotencyKey', idempotencyKey, KEY);
    if (sessionId !== undefined) checkId('sessionId', sessionId);
    const body = JSON.stringify({ message, session_id: sessionId, background: true, stream: false });
    const accepted = await this.#requests.ask<RunAccepted>(
      `${path}/runs`,
      { body, headers: { 'idempotency-key': idempotencyKey }, has: 'run_id' },
      signal,
    );
    return this.#handle(accepted.run_id, accepted.session_id, -1, path);
  }

  /** Starts a run and gives its events. Whoever stops iterating leaves it; it goes on. */
  async *stream(options: StartOptions): AsyncGenerator<RunClientEvent, void, undefined> {
    yield* await this.start(options);
  }

  /** A run by its id. Where nobody says whose it is, the gateway is asked when it matters. */
  attach(runId: string, options: AttachOptions = {}): RunHandle {
    const { after = -1 } = options;
    checkId('runId', runId);
    checkOption('after', after, 'number', Number.isSafeInteger(after));
    return this.#handle(runId, null, after, componentPath(options));
  }

  /** As of a handle. */
  cancel(runId: string, reason?: string, signal?: AbortSignal): Promise<void> {
    return this.attach(runId).cancel(reason, signal);
  }

  continue(runId: string, tools?: readonly ToolAnswer[]): Promise<void> {
    return this.attach(runId).continue(tools);
  }

  get(runId: string): Promise<RunOutput> {
    return this.attach(runId).get();
  }

  /** Answers a question of `approvals()`. Rejects with `ApprovalConflictError` when it has another answer already. */
  approve(approvalId: string, approved = true, note?: string): Promise<void> {
    return this.#approve({ approvalId, approved, note });
  }

  /** The questions of all runs and turns that wait for an answer. */
  approvals(): Promise<ApprovalJson[]> {
    return this.#approvals();
  }

  async #approve({ approvalId, approved, note }: Answer, signal?: AbortSignal): Promise<void> {
    checkId('approvalId', approvalId);
    checkOption('approved', approved, 'boolean');
    const body = JSON.stringify({ approved, note });
    try {
      await this.#requests.ask(`/approvals/${encodeURIComponent(approvalId)}`, { body }, signal);
    } catch (error) {
      // The same answer may be this one: what the gateway said to an earlier try was lost.
      if (!(error instanceof ApprovalConflictError) || error.answer.approved !== approved) throw error;
    }
  }

  #approvals(signal?: AbortSignal): Promise<ApprovalJson[]> {
    return this.#requests.ask('/approvals', { has: 'length' }, signal);
  }

  #handle(runId: string, sessionId: string | null, after: number, component: string | undefined): RunHandle {
    const run = encodeURIComponent(runId);
    let found = component;
    return createRunHandle({
      requests: this.#requests,
      runId,
      sessionId,
      after,
      path: async (signal) => {
        if (!found) {
          const { kind, ...whose } = await this.#requests.ask<RunSummary>(
            `/runs/${run}`,
            { has: 'kind' },
            signal,
          );
          found = componentPath({ [kind]: whose[`${kind}_id`] });
        }
        return `${found}/runs/${run}`;
      },
      approve: (answer, signal) => this.#approve(answer, signal),
      asked: async (signal) => {
        const open = await this.#approvals(signal);
        return open.filter(({ run_id }) => run_id === runId);
      },
    });
  }
}
