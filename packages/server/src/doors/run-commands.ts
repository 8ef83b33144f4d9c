import { CancelRequest, type SteerAccepted, SteerRequest } from '@continuo/protocol';
import type { Runs } from '../core/runs.ts';
import { demandSteerable, type Steering } from '../core/steering.ts';
import type { Workers } from '../core/worker.ts';
import type { Logs } from '../ports.ts';
import { parseBody, readBody } from './http.ts';
import { findRun, headOf, type RunAsked } from './run-asked.ts';

/** What is said to a run that is under way: `POST .../cancel`, `POST .../steer`. */

export interface RunCommands {
  cancel(asked: RunAsked): Promise<Response>;
  steer(asked: RunAsked): Promise<Response>;
}

export function createRunCommands(options: {
  readonly runs: Runs;
  readonly logs: Logs;
  readonly workers: Workers;
  readonly steering: Steering;
}): RunCommands {
  const { runs, logs, workers, steering } = options;

  return {
    async cancel(asked) {
      const { session_id, reason } = parseBody(CancelRequest, await readBody(asked.c), 'invalid');
      const run = await findRun(runs, asked, session_id);
      const { ended } = await headOf(logs, run);
      if (!ended) await workers.cancel(run, reason || 'Somebody asked for it.');
      return asked.c.json({});
    },

    async steer(asked) {
      const { c, component } = asked;
      const { message, message_id, session_id } = parseBody(SteerRequest, await readBody(c), 'invalid');
      const run = await findRun(runs, asked, session_id);
      demandSteerable(component);
      const { messageId } = await steering.send(run, { content: message, messageId: message_id });
      const accepted: SteerAccepted = { run_id: run.runId, message_id: messageId, status: 'ACCEPTED' };
      return c.json(accepted, 202);
    },
  };
}
