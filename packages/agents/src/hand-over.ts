import type { Component } from '@continuo/protocol';
import type { Schema } from 'ai';
import { isLimit } from './failure.ts';
import { type MemberResult, memberIdOf, runMember } from './member.ts';
import { objectSchema } from './object-schema.ts';
import { Paused } from './paused.ts';
import { type CallContext, createTool, type Tool } from './tool.ts';

export interface HandOverOptions {
  readonly name: 'delegate' | 'route';
  readonly description: string;
  readonly members: readonly Component[];
  /** Whether the leader must say what the member is to do; else a member may get the team's message as it came. */
  readonly needsMessage: boolean;
  readonly halt: Halt;
  /** The call's result, from how the member ended; what it throws, the leader is told. Not reached by a pause. */
  resultOf(run: () => Promise<MemberResult>, context: CallContext): Promise<string>;
}

/** A leader is told what its tools throw. This is how one of them ends the run instead. */
export interface Halt {
  /** To be thrown by the tool: its call stays unfinished, so its leader returns. */
  because(error: Error): Paused;
  /** When the leader has returned: throws what it was. */
  check(): void;
}

export function createHalt(): Halt {
  let reason: Error | null = null;
  return {
    because(error) {
      reason ??= error;
      return new Paused();
    },
    check() {
      if (reason) throw reason;
    },
  };
}

/** A tool by which a leader has a member work within its run. A limit of the run that the member comes to ends the run. */
export function handOverTool(options: HandOverOptions): Tool {
  const { name, description, members, needsMessage, halt, resultOf } = options;
  return createTool<HandOver>({
    name,
    description,
    delegates: true,
    input: schemaOf(members, needsMessage),
    async run({ component, message }, context) {
      const { run, emit, callId, took } = context;
      const member = { component, input: message ?? run.input, runId: memberIdOf(run.runId, callId) };
      try {
        return await resultOf(async () => {
          const ended = await runMember(run, member, emit);
          took(ended.used);
          return ended;
        }, context);
      } catch (error) {
        throw isLimit(error) ? halt.because(error) : error;
      }
    },
  });
}

/** Who there is, for the instructions of a leader. */
export function listOf(members: readonly Component[]): string {
  return members
    .map(({ id, name, description }) => `- ${id}: ${name}${description ? `. ${description}` : ''}`)
    .join('\n');
}

/** What a leader says when it gives work to a member. */
interface HandOver {
  readonly component: Component;
  readonly message?: string;
}

function schemaOf(members: readonly Component[], needsMessage: boolean): Schema<HandOver> {
  const ids = members.map(({ id }) => id);
  return objectSchema<HandOver>(
    {
      member: { type: 'string', enum: ids },
      message: { type: 'string', description: 'What the member is to do. It sees nothing else.' },
    },
    (fields) => {
      const component = members.find(({ id }) => id === fields.get('member'));
      if (!component) return `member: must be one of ${ids.join(', ')}`;
      const message = fields.get('message');
      if (message === undefined && !needsMessage) return { component };
      return typeof message === 'string' && message !== ''
        ? { component, message }
        : 'message: must be a text';
    },
    needsMessage ? ['member', 'message'] : ['member'],
  );
}
