import type { Component } from '@continuo/protocol';
import { createAgent } from '../agent.ts';
import { objectSchema } from '../object-schema.ts';
import { type Line, type Scene, scriptedModel } from '../scripted.ts';
import { defineTool } from '../tool.ts';

const TOOL = 'reserve_trip';
const MAX_PLACE = 80;

interface Trip {
  readonly to: string;
  readonly nights: number;
}

const reserveTrip = defineTool<Trip>({
  name: TOOL,
  description: 'Reserves a trip.',
  requiresConfirmation: true,
  input: objectSchema({ to: { type: 'string' }, nights: { type: 'integer', minimum: 1 } }, (fields) => {
    const [to, nights] = [fields.get('to'), fields.get('nights')];
    if (typeof to !== 'string' || to === '') return 'to: must be a place';
    return typeof nights === 'number' && nights >= 1 ? { to, nights } : 'nights: must be 1 or more';
  }),
  /** The same call books the same trip: its id is the key. */
  run: ({ to, nights }, { callId }) => ({ booking: bookingOf(callId), to, nights }),
});

/** `BK-` and six characters, from the call's id. */
function bookingOf(callId: string): string {
  let state = 0x811c9dc5;
  for (const character of callId) state = Math.imul(state ^ (character.codePointAt(0) ?? 0), 0x01000193);
  return `BK-${(state >>> 0).toString(36).toUpperCase().padStart(6, '0').slice(-6)}`;
}

/** What a message asks for, as far as a rule can tell: `Porto for 3 nights`, `a trip to New York, two nights`. */
export function tripOf(message: string): Trip {
  const nights = Math.max(1, Number(/(\d{1,3})\s*nights?/i.exec(message)?.[1] ?? 1));
  const places = message.match(/\p{Lu}[\p{L}'-]*(?:\s+\p{Lu}[\p{L}'-]*)*/gu) ?? [];
  const after = /\bto\s+(\p{Lu}[\p{L}'-]*(?:\s+\p{Lu}[\p{L}'-]*)*)/u.exec(message)?.[1];
  const rest = message.replace(/(?:\bfor\s+)?\d+\s*nights?/i, '').trim();
  return { to: (after ?? places.at(-1) ?? (rest || 'anywhere')).slice(0, MAX_PLACE), nights };
}

function isBooking(output: unknown): output is Trip & { readonly booking: string } {
  return typeof output === 'object' && output !== null && 'booking' in output;
}

/** One call a message; then it says how the last one ended. */
function script({ messages, results }: Scene): readonly Line[] {
  const message = messages[results.length];
  if (message !== undefined) {
    const trip = tripOf(message);
    return [{ text: `I can reserve ${wordsOf(trip)}.` }, { call: TOOL, input: trip }];
  }
  const output = results.at(-1)?.output;
  return isBooking(output)
    ? [{ text: `Reserved: ${wordsOf(output)}. Your booking is ${output.booking}.` }]
    : [{ text: `I reserved nothing. ${String(output)}` }];
}

function wordsOf({ to, nights }: Trip): string {
  return `${to} for ${nights} ${nights === 1 ? 'night' : 'nights'}`;
}

export const reserverAgent: Component = {
  ...createAgent(
    {
      id: 'reserver',
      name: 'Reserver',
      description: 'Reserves the trip you name, once you have allowed it.',
      instructions: '',
      model: scriptedModel(script),
      tools: [reserveTrip],
      deltaJoinMs: 0,
      onInterrupt: 'restart',
    },
    { env: {}, now: Date.now },
  ),
  demo: true,
};
