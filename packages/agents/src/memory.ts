import type { Memory } from '@continuo/protocol';
import { objectSchema } from './object-schema.ts';
import { createTool, type Tool } from './tool.ts';

/** How many memories the model is told, the newest. */
const TOLD = 100;
/** Characters of one. */
const MAX_TEXT = 2_000;

/** The instructions, and what is remembered of the person. */
export function withMemories(instructions: string, memories: readonly Memory[]): string {
  if (memories.length === 0) return instructions;
  const lines = memories.slice(-TOLD).map(({ text }) => `- ${text.replace(/\s+/g, ' ')}`);
  const told = ['What you remember of the person you talk with:', ...lines].join('\n');
  return instructions === '' ? told : `${instructions}\n\n${told}`;
}

/** The tool with which an agent remembers. The id of its call is the key: a call that runs again keeps one memory. */
export function rememberTool(): Tool {
  return createTool<{ readonly text: string }>({
    name: 'remember',
    description:
      'Keeps one fact about the person for later conversations. Use it for what the person wants you to remember.',
    input: objectSchema({ text: { type: 'string', description: 'The fact, in one sentence.' } }, (fields) => {
      const text = fields.get('text');
      return typeof text === 'string' && text !== '' && text.length <= MAX_TEXT
        ? { text }
        : `text: must be a text of 1 to ${MAX_TEXT} characters`;
    }),
    async run({ text }, { run, emit, callId }) {
      await emit.send({ type: 'memory.started' });
      await run.memories.add(text, callId);
      await emit.send({ type: 'memory.completed' });
      return 'Remembered.';
    },
  });
}
