import { RunHeaders, RunRequest, WireError } from '@continuo/protocol';
import type { Runs } from '../core/runs.ts';
import { parseBody, readBody } from './http.ts';
import type { AnswerRun } from './run-answer.ts';
import type { RunAsked } from './run-asked.ts';

/** `POST .../runs`. */
export function createStartRun({
  runs,
  answer,
}: {
  readonly runs: Runs;
  readonly answer: AnswerRun;
}): (asked: RunAsked) => Promise<Response> {
  return async (asked) => {
    const { c, component, principal } = asked;
    const { 'idempotency-key': header } = parseBody(
      RunHeaders.pick({ 'idempotency-key': true }),
      { 'idempotency-key': c.req.header('idempotency-key') },
      'invalid',
    );
    const request = parseBody(RunRequest, await readBody(c), 'invalid');
    const { message: input, session_id: sessionId, run_id: alias, stream, background } = request;
    if (header !== undefined && alias !== undefined && header !== alias) {
      throw new WireError(
        'invalid',
        '"run_id" and the header Idempotency-Key are two keys. Send one of them, or the same.',
      );
    }
    const wanted = { owner: principal.user, component, input, sessionId, key: header ?? alias };
    const { run, head, isNew } = await runs.create(wanted);
    return answer(asked, { run, head, after: 0, stream, background, isOwn: isNew });
  };
}
