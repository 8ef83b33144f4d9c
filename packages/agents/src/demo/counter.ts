import { appendFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Component } from '@continuo/protocol';
import { createAgent } from '../agent.ts';
import type { Environment } from '../model.ts';
import { objectSchema } from '../object-schema.ts';
import { type Line, type Scene, scriptedModel } from '../scripted.ts';
import { createTool, type Tool } from '../tool.ts';

const TOOL = 'count';
const DEFAULT_COUNT = 5;
const MAX_COUNT = 100;
const DEFAULT_MS = 100;
const FILE = 'continuo-counter.txt';

interface Numbered {
  readonly n: number;
}

/** Appends to a file: one write, so lines of several processes do not mix. */
export type Append = (path: string, line: string) => Promise<void>;

/** The tool's effect comes before its wait: whoever kills a server in between can count how often the call was run. */
function countTool(env: Environment, append: Append): Tool {
  return createTool<Numbered>({
    name: TOOL,
    description: 'Counts one number.',
    input: objectSchema({ n: { type: 'integer', minimum: 1 } }, (fields) => {
      const n = fields.get('n');
      return typeof n === 'number' && n >= 1 ? { n } : 'n: must be 1 or more';
    }),
    async run({ n }, { callId, run }) {
      await append(env.CONTINUO_COUNTER_FILE || join(tmpdir(), FILE), `${callId}\n`);
      await run.sleep(waitOf(env.CONTINUO_COUNTER_MS));
      return { n };
    },
  });
}

function waitOf(text: string | undefined): number {
  if (!text) return DEFAULT_MS;
  const ms = Number(text);
  if (ms >= 0 && ms <= 60_000) return ms;
  throw new Error(`CONTINUO_COUNTER_MS must be 0 to 60000 milliseconds, not "${text}"`);
}

/** The last number that was named counts, also one that is sent while it counts. */
function targetOf(messages: readonly string[]): number {
  const named = messages
    .map((message) => /\d+/.exec(message)?.[0])
    .findLast((digits) => digits !== undefined);
  return Math.min(named === undefined ? DEFAULT_COUNT : Number(named), MAX_COUNT);
}

function script({ messages, results }: Scene): readonly Line[] {
  const failed = results.find((result) => result.failed);
  if (failed) return [{ text: `I cannot count: ${String(failed.output)}` }];
  const counted = results.length;
  return counted < targetOf(messages)
    ? [{ call: TOOL, input: { n: counted + 1 } }]
    : [{ text: `Counted to ${counted}.` }];
}

/** An agent that counts; `append` writes its file. */
export function createCounter(deps: { readonly env: Environment; readonly append: Append }): Component {
  const agent = createAgent(
    {
      id: 'counter',
      name: 'Counter',
      description: 'Counts as far as you say, one tool call a number. Each writes its id to a file.',
      instructions: '',
      model: scriptedModel(script),
      tools: [countTool(deps.env, deps.append)],
      maxSteps: 2 * MAX_COUNT,
      deltaJoinMs: 0,
      onInterrupt: 'restart',
    },
    { env: deps.env, now: Date.now },
  );
  return { ...agent, demo: true };
}

export const counterAgent: Component = createCounter({ env: process.env, append: appendFile });
