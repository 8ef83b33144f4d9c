import {
  type ApprovalJson,
  ApprovalRequest,
  ApprovalsQuery,
  type Component,
  WireError,
} from '@continuo/protocol';
import { Hono } from 'hono';
import type { Authenticate } from '../auth/authenticate.ts';
import { type Answer, type ApprovalRecord, type Approvals, statusOfApproval } from '../core/approvals.ts';
import { credentialOf, parseBody, readBody } from './http.ts';
import { answerErrors, type RunErrorOptions } from './run-errors.ts';
import { whoseOf } from './run-json.ts';

/** Door 4: what agents ask people, of runs and of turns alike. */

export interface ApprovalRoutesOptions extends RunErrorOptions {
  readonly approvals: Approvals;
  readonly components: readonly Component[];
  readonly authenticate: Authenticate;
}

export function createApprovalRoutes(options: ApprovalRoutesOptions): Hono {
  const { approvals, components, authenticate } = options;
  const routes = new Hono();

  routes.get('/approvals', async (c) => {
    const principal = await authenticate(credentialOf(c));
    const { status } = parseBody(ApprovalsQuery, c.req.query(), 'invalid');
    const found = await approvals.list(principal, status);
    return c.json(found.map((record) => approvalOf(record, components)));
  });

  routes.get('/approvals/:id', async (c) => {
    const principal = await authenticate(credentialOf(c));
    return c.json(approvalOf(await approvals.get(principal, c.req.param('id')), components));
  });

  routes.post('/approvals/:id', async (c) => {
    const principal = await authenticate(credentialOf(c));
    const { approved, note } = parseBody(ApprovalRequest, await readBody(c), 'invalid');
    const approvalId = c.req.param('id');
    const said: Answer = { approved, by: principal.subject, ...(note !== undefined && { note }) };
    const { answer, isNew } = await approvals.resolve(principal, approvalId, said).catch((error: unknown) => {
      throw inOurWords(error);
    });
    if (!isNew) {
      throw new WireError('conflict', 'This approval has an answer already: the first one counts.', {
        details: firstOf(approvalId, answer),
      });
    }
    return c.json(approvalOf(await approvals.get(principal, approvalId), components));
  });

  answerErrors(routes, options);
  return routes;
}

/** The resolver tells of the first answer as it is stored. */
function inOurWords(error: unknown): unknown {
  if (!(error instanceof WireError) || error.code !== 'conflict') return error;
  const { approval_id: approvalId, ...first } = error.details;
  if (typeof approvalId !== 'string' || !isAnswer(first)) return error;
  return new WireError('conflict', error.message, { cause: error, details: firstOf(approvalId, first) });
}

function isAnswer(value: object): value is Answer {
  return 'approved' in value && 'by' in value;
}

function firstOf(
  approvalId: string,
  { approved, by, note, expired }: Answer,
): Readonly<Record<string, unknown>> {
  return {
    approval_id: approvalId,
    approved,
    resolved_by: by,
    ...(note !== undefined && { note }),
    ...(expired && { expired }),
  };
}

function approvalOf(record: ApprovalRecord, components: readonly Component[]): ApprovalJson {
  const { kind: _, ...whose } = whoseOf(record.component, components);
  const { answer, args } = record;
  return {
    approval_id: record.approvalId,
    status: statusOfApproval(record),
    run_id: record.runId,
    session_id: record.sessionId,
    message_id: record.messageId,
    ...whose,
    tool: {
      tool_call_id: record.callId,
      tool_name: record.name,
      ...(args !== undefined && { tool_args: args }),
    },
    ...(answer?.note !== undefined && { note: answer.note }),
    ...(answer && { resolved_by: answer.by }),
    requested_at: record.requestedAt / 1000,
    expires_at: record.expiresAt / 1000,
  };
}
