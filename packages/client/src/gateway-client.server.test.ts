import { describe, expect, it } from 'vitest';
import { ALICE, TWO_PEOPLE } from '../../server/test/gateway.ts';
import { createPuppet } from '../../server/test/puppet.ts';
import { read } from '../test/client.ts';
import { openWorld } from '../test/real.ts';
import { ApprovalConflictError, UnauthorizedError } from './errors.ts';

/** The shipped client against the shipped server. */

const question = { type: 'approval.requested', callId: 'c1', name: 'delete', args: { file: 'a' } } as const;

describe('against the server', () => {
  it('G-11 goes on where it was, over a cut in mid-answer', async () => {
    const puppet = createPuppet('p');
    const world = openWorld({ agents: [puppet.component] });
    const client = await world.join({ agentId: 'p' });
    const { seen, whole } = read(client);
    await world.settle(client.send('hi'));
    puppet.runs[0]?.say({ type: 'text.delta', text: 'a' });
    await world.clock.advance(500);
    expect(client.turn).toMatchObject({ message_id: expect.any(String) });
    world.cutAll();
    puppet.runs[0]?.say({ type: 'text.delta', text: 'b' });
    puppet.runs[0]?.finish();
    await world.clock.advance(3_000);
    expect(client.state).toBe('connected');
    expect(whole.at(-1)).toMatchObject({ type: 'response', data: { content: 'ab' } });
    expect(seen).toEqual(seen.map((_, index) => index + 1));
    expect(client.turn).toBeNull();
  });

  it('answers an approval, also for a client that comes later, and tells who answered otherwise', async () => {
    const puppet = createPuppet('p');
    const world = openWorld({ agents: [puppet.component] });
    const client = await world.join({ agentId: 'p', clientId: 'phone' });
    await world.settle(client.send('hi', { messageId: 'm1' }));
    puppet.runs[0]?.say(question);
    puppet.runs[0]?.finish();
    await world.clock.advance(500);
    const [open] = client.pending;
    expect(open).toEqual({
      approval_id: expect.any(String),
      message_id: 'm1',
      tool_call: { id: 'c1', name: 'delete', args: { file: 'a' } },
      requested_at: expect.any(Number),
      expires_at: expect.any(Number),
    });
    expect(client.turn).toBeNull();

    const other = world.client({ agentId: 'p', clientId: 'laptop' });
    await world.settle(other.resume({ sessionId: client.sessionId ?? '', cursor: client.cursor }));
    expect(other.pending).toEqual(client.pending);

    const approvalId = open?.approval_id ?? '';
    const counts = { approvalId, approved: true, note: 'go', by: 'laptop' };
    expect(await world.settle(other.approve(approvalId, true, { note: 'go' }))).toEqual(counts);
    const late = world.settle(client.approve(approvalId, false));
    await expect(late).rejects.toThrow(ApprovalConflictError);
    await expect(late).rejects.toMatchObject({ answer: counts });
    expect([client.pending, other.pending]).toEqual([[], []]);
    expect(client.turn).toMatchObject({ message_id: 'm1' });
  });

  it('aborts the turn under way, and says that there is none', async () => {
    const world = openWorld();
    const client = await world.join({ agentId: 'slow' });
    const { whole } = read(client);
    expect(await world.settle(client.abort())).toBeNull();
    await world.settle(client.send('hi', { messageId: 'm1' }));
    expect(await world.settle(client.abort('enough'))).toBe('m1');
    await world.clock.advance(500);
    expect(whole.at(-1)).toMatchObject({
      type: 'response',
      data: { message_id: 'm1', outcome: { status: 'aborted', reason: 'enough' } },
    });
  });

  it('aborts by the message /stop, with a turn and without one', async () => {
    const world = openWorld();
    const client = await world.join({ agentId: 'slow' });
    const { whole } = read(client);
    expect(await world.settle(client.send('/stop', { messageId: 's1' }))).toBe('s1');
    await world.settle(client.send('hi', { messageId: 'm1' }));
    expect(await world.settle(client.send('/stop', { messageId: 's2' }))).toBe('s2');
    await world.clock.advance(500);
    expect(whole.map(({ type }) => type).filter((type) => type === 'message')).toHaveLength(1);
    expect(whole.at(-1)).toMatchObject({ data: { message_id: 'm1', outcome: { status: 'aborted' } } });
  });

  it('leaves, and comes back to its session', async () => {
    const world = openWorld();
    const client = await world.join();
    const { done } = read(client);
    const other = await world.join({ clientId: 'other' });
    expect(other.presence.map((each) => each.client_id)).toContain('other');
    const { sessionId } = client;
    await world.settle(client.leave());
    expect(client.state).toBe('disconnected');
    expect(await done).toBe('ended');
    await world.settle(client.connect());
    expect([client.sessionId, client.joined?.resumed]).toEqual([sessionId, true]);
    expect(client.health).toMatchObject({ status: 'ok' });
  });

  it('L-15 is refused with a wrong token, and taken with the next one', async () => {
    const world = openWorld({ tokens: TWO_PEOPLE });
    const wrong = world.client({ token: 'wrong' });
    await expect(world.settle(wrong.connect())).rejects.toThrow(UnauthorizedError);
    const tokens = ['stale', ALICE];
    const client = world.client({ token: async () => tokens.shift() ?? 'none' });
    await world.settle(client.connect());
    expect(client.state).toBe('connected');
  });

  it('refuses what is larger than the server takes, and the server never sees it', async () => {
    const world = openWorld();
    const client = await world.join();
    const large = world.settle(client.send('x'.repeat(1024 * 1024)));
    await expect(large).rejects.toMatchObject({ name: 'TooLargeError', code: 'too_large' });
    expect(await world.settle(client.send('small', { messageId: 'm1' }))).toBe('m1');
    expect(world.errors).toEqual([]);
  });
});
