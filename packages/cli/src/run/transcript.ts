import type { MemberView, OpenApproval, RunView, ToolCallView } from '@continuo/client';
import { plain } from '../chat/transcript.ts';
import type { Piece } from './screen.ts';

/** What a person sees of a run, as a pure machine: views go in, and what is new in them comes out. */
export interface RunTranscript {
  /** What this view has that was not shown yet, in order; of a member's words whole lines, and with `all` what follows them. */
  show(view: RunView, all?: 'all'): readonly Part[];
}

/**
 * The run's own words, to be written as they come; a line about it: of a member, of a tool, of its end; or a piece of a line
 * of a member.
 */
export type Part =
  | { readonly kind: 'text' | 'line'; readonly text: string }
  | ({ readonly kind: 'piece' } & Piece);

/** Characters of a tool's arguments, or of an error. */
const MAX_SHOWN = 100;
const DIFFERS = '[it says something else this time]';

/** A member, as it was shown. */
interface Heard {
  /** Its words as of the last view. */
  text: string;
  /** Those that were shown, over all attempts. */
  shown: string;
  /** Its end was told. */
  isOver: boolean;
}

export function createRunTranscript(): RunTranscript {
  /** The run's own words, over all attempts. */
  let shown = '';
  let attempt = 1;
  let isEnded = false;
  /** Of members, by their runs. */
  const heard = new Map<string, Heard>();
  /** Of calls: an attempt that starts over tells of them again. */
  const calls = new Set<string>();

  /** An attempt that starts over says again what stands there: only what goes beyond is new. */
  function ownText(view: RunView): Part[] {
    const { text } = view;
    // Of a run that is read from its middle on, the end has all of it.
    if (shown.startsWith(text) || (isOver(view) && text.endsWith(shown) && shown !== '')) return [];
    const isMore = text.startsWith(shown);
    const fresh = isMore ? text.slice(shown.length) : text;
    shown = text;
    const said: Part = { kind: 'text', text: fresh };
    return isMore ? [said] : [line(DIFFERS), said];
  }

  /** The words of a member go out by whole lines, as several may speak at once, or by what they have waited. */
  function memberText(member: MemberView, view: RunView, isAll: boolean): Part[] {
    const { runId, name, status, step } = member;
    const indent = indentOf(view, runId);
    const known = heard.get(runId) ?? { text: '', shown: '', isOver: false };
    const parts: Part[] = [];
    if (!heard.has(runId)) {
      heard.set(runId, known);
      const at = step === undefined ? '' : ` (${plain(step)})`;
      parts.push(line(`${indent}+ ${plain(name)}${at}`));
    }
    const lead = `${indent}${plain(name)} | `;
    known.text = wordsOf(member, known);
    const until = isAll || isOver(member) ? known.text.length : known.text.lastIndexOf('\n') + 1;
    const told = known.text.slice(0, until);
    if (!told.startsWith(known.shown) && !known.shown.startsWith(told)) {
      parts.push(line(lead + DIFFERS));
      known.shown = '';
      known.isOver = false;
    }
    for (const said of told.slice(known.shown.length).match(/[^\n]*\n|[^\n]+/g) ?? []) {
      const isBegun = known.shown !== '' && !known.shown.endsWith('\n');
      known.shown += said;
      const isWhole = said.endsWith('\n') || isOver(member);
      const words = plain(said.replace(/\n$/, ''));
      if (isWhole && !isBegun) parts.push(line(lead + words));
      else parts.push({ kind: 'piece', of: runId, lead, text: isWhole ? `${words}\n` : words });
    }
    if (isOver(member) && !known.isOver)
      parts.push(line(`${indent}- ${plain(name)}: ${status.toLowerCase()}`));
    known.isOver ||= isOver(member);
    return parts;
  }

  function call(tool: ToolCallView, view: RunView): Part[] {
    const indent = indentOf(view, tool.runId);
    const isNew = (state: string): boolean => {
      const key = `${state} ${tool.runId} ${tool.id}`;
      return !calls.has(key) && calls.add(key) === calls;
    };
    const parts: Part[] = [];
    const isFailed = tool.status === 'failed';
    // One that a person denied fails before it begins.
    if (isNew('started') && !isFailed) parts.push(line(`${indent}[${callOf(tool)}]`));
    if (isFailed && isNew('failed'))
      parts.push(line(`${indent}[${plain(tool.name)} failed: ${short(tool.error)}]`));
    return parts;
  }

  return {
    show(view, all) {
      const parts: Part[] = [];
      if (view.attempt > attempt) parts.push(line(`[it starts over: attempt ${view.attempt}]`));
      attempt = view.attempt;
      for (const member of view.members) parts.push(...memberText(member, view, all === 'all'));
      for (const tool of view.toolCalls) parts.push(...call(tool, view));
      parts.push(...ownText(view));
      if (isOver(view) && !isEnded) {
        isEnded = true;
        const { error, status } = view;
        if (error) parts.push(line(`[${status.toLowerCase()}: ${short(error.message)}]`));
      }
      return parts;
    },
  };
}

/** The run and its members, a line each, those of a member below it and further in. */
export function treeOf(view: RunView, name: string): string[] {
  const below = (runId: string, indent: string): string[] =>
    view.members
      .filter(({ parentRunId }) => parentRunId === runId)
      .flatMap((member) => {
        const step = member.step === undefined ? '' : ` (${plain(member.step)})`;
        return [
          `${indent}${plain(member.name)}${step}: ${member.status.toLowerCase()}`,
          ...below(member.runId, `${indent}  `),
        ];
      });
  const members = new Set(view.members.map(({ runId }) => runId));
  const roots = new Set(view.members.map(({ parentRunId }) => parentRunId).filter((id) => !members.has(id)));
  return [
    `${plain(name)}: ${view.status.toLowerCase()}`,
    ...[...roots].flatMap((runId) => below(runId, '  ')),
  ];
}

/** A question, in one line: `reserve_trip {"to":"Porto"}`. */
export function questionOf({ toolName, args }: Pick<OpenApproval, 'toolName' | 'args'>): string {
  return callOf({ name: toolName, args });
}

function callOf({ name, args }: Pick<ToolCallView, 'name' | 'args'>): string {
  return `${plain(name)}${args === undefined ? '' : ` ${short(args)}`}`;
}

function line(text: string): Part {
  return { kind: 'line', text };
}

function isOver({ status }: Pick<RunView, 'status'>): boolean {
  return status === 'COMPLETED' || status === 'CANCELLED' || status === 'ERROR';
}

/** Of a member that is heard from its middle on, the end has all that it said: what was heard stays. */
function wordsOf(member: MemberView, { text: before }: Heard): string {
  const { text } = member;
  const isWhole = before === '' || text.startsWith(before) || !text.endsWith(before);
  return isOver(member) && !isWhole ? before : text;
}

/** Two columns for each run that a run is within; none for the run itself. */
function indentOf({ members }: RunView, runId: string): string {
  let indent = '';
  const passed = new Set<string>();
  for (let at: string | undefined = runId; at !== undefined && !passed.has(at); ) {
    passed.add(at);
    const member = members.find((each) => each.runId === at);
    if (member) indent += '  ';
    at = member?.parentRunId;
  }
  return indent;
}

function short(value: unknown): string {
  const text = plain(typeof value === 'string' ? value : (JSON.stringify(value) ?? ''));
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}...` : text;
}
