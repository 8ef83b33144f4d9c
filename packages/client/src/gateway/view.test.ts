import type { GatewayEvent, GatewayEventType, SnapshotFrame } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { NO_VIEW, type SessionView, viewEvent, viewSnapshot } from './view.ts';

function event(type: GatewayEventType, sequence: number, data: object): GatewayEvent {
  return {
    type,
    data: { cursor: sequence, message_id: 'm1', ...data },
    event_id: `e${sequence}`,
    timestamp: 1_000 + sequence,
    source: null,
    target: null,
    sequence,
  };
}

const asked = (sequence: number, approval_id = 'apr_1', message_id = 'm1') =>
  event('approval_requested', sequence, { approval_id, message_id, tool_call: { id: 'c1', name: 'add' } });
const status = (sequence: number, kind: string, message_id = 'm1') =>
  event('status', sequence, { kind, message_id });

const fold = (view: SessionView, ...events: GatewayEvent[]): SessionView => events.reduce(viewEvent, view);
const ids = ({ pending }: SessionView): string[] => pending.map((open) => open.approval_id);

describe('the questions that wait', () => {
  it('are those that were asked and not answered', () => {
    const two = fold(NO_VIEW, asked(1), asked(2, 'apr_2'));
    expect(two.pending[0]).toEqual({
      approval_id: 'apr_1',
      message_id: 'm1',
      tool_call: { id: 'c1', name: 'add' },
      requested_at: 1_001,
    });
    expect(ids(two)).toEqual(['apr_1', 'apr_2']);
    expect(ids(fold(two, event('approval_resolved', 3, { approval_id: 'apr_1' })))).toEqual(['apr_2']);
  });

  it('end with their turn', () => {
    const view = fold(NO_VIEW, asked(1), asked(2, 'apr_2', 'm2'), event('response', 3, {}));
    expect(ids(view)).toEqual(['apr_2']);
  });

  it('are as they were joined, also while older events are replayed', () => {
    const open = {
      approval_id: 'apr_2',
      message_id: 'm1',
      tool_call: { id: 'c', name: 'x' },
      requested_at: 1,
    };
    const view = fold({ ...NO_VIEW, pending: [open], head: 5 }, asked(2), asked(4, 'apr_2'));
    expect(ids(view)).toEqual(['apr_2']);
    expect(ids(fold(view, asked(6, 'apr_3')))).toEqual(['apr_2', 'apr_3']);
  });

  it.each([[{ approval_id: undefined }], [{ tool_call: undefined }], [{ message_id: null }]])(
    'are none where the event says nothing that can be read: %j',
    (data) => {
      const odd = event('approval_requested', 1, { approval_id: 'a', tool_call: {}, ...data });
      expect(fold(NO_VIEW, odd)).toBe(NO_VIEW);
    },
  );

  it('are those of a snapshot, and events up to it change nothing', () => {
    const state: SnapshotFrame['state'] = {
      session_id: 's1',
      agent_id: 'echo',
      state: 'idle',
      messages: [],
      event_cursor: 9,
      truncated: false,
      pending: [],
    };
    const before = fold(NO_VIEW, status(1, 'run_started'), asked(2));
    const view = viewSnapshot(before, { type: 'snapshot', reason: 'trimmed', epoch: 'e', state });
    expect(view).toMatchObject({ pending: [], turn: null, head: 9 });
    expect(fold(view, asked(9))).toBe(view);
  });
});

describe('the turn under way', () => {
  it('begins with its run, pauses and goes on, and ends with its response', () => {
    const started = fold(NO_VIEW, status(1, 'run_started'));
    expect(started.turn).toEqual({ message_id: 'm1', started_at: 1_001 });
    const paused = fold(started, status(2, 'run_paused'));
    expect(paused.turn).toBeNull();
    const continued = fold(paused, status(3, 'run_continued'));
    expect(continued.turn).toMatchObject({ message_id: 'm1' });
    expect(fold(continued, event('response', 4, {})).turn).toBeNull();
  });

  it('is not ended by the end of another one', () => {
    const { turn } = fold(
      NO_VIEW,
      status(1, 'run_started'),
      event('response', 2, { message_id: 'm2' }),
      status(3, 'run_paused', 'm2'),
      status(4, 'member_started', 'm2'),
    );
    expect(turn).toMatchObject({ message_id: 'm1' });
  });
});
