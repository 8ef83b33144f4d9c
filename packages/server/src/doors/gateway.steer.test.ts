import { describe, expect, it } from 'vitest';
import { eventsOf, openGateway } from '../../test/gateway.ts';
import { only } from '../../test/pick.ts';
import { createPuppet } from '../../test/puppet.ts';

const STEER = { type: 'message', content: 'shorter', message_id: 'm2', steer: true };

describe('a message to the turn under way', () => {
  it('G-26 is accepted, read at its next step, and asks for no turn', async () => {
    const puppet = createPuppet('puppet', { steerable: true });
    const { join, clock } = openGateway({ agents: [puppet.component] });
    const client = await join({ agent_id: 'puppet' });
    await client.send({ type: 'message', content: 'tell', message_id: 'm1' });
    await client.send(STEER);
    await client.send(STEER); // its answer got lost
    expect(client.of('response').map(({ message_id }) => message_id)).toEqual(['m1', 'm2', 'm2']);
    const run = only(puppet.runs);
    const [message] = await run.context.steered('step:1');
    expect(message).toEqual({ messageId: 'm2', content: 'shorter' });
    run.say({ type: 'steered', steerId: 'm2', content: 'shorter' });
    expect(await run.context.steered('step:2', true)).toEqual([]);
    run.finish();
    await clock.settle();
    const steered = eventsOf(client).filter(({ data }) => data.kind === 'steered');
    expect(only(steered).data).toMatchObject({ message_id: 'm1', steer_id: 'm2', content: 'shorter' });
    expect(eventsOf(client).filter(({ type }) => type === 'response')).toHaveLength(1);
    expect(puppet.runs).toHaveLength(1);
  });

  it('G-26 is refused when there is none, or its agent has looked for its last', async () => {
    const puppet = createPuppet('puppet', { steerable: true });
    const { join, clock } = openGateway({ agents: [puppet.component] });
    const client = await join({ agent_id: 'puppet' });
    await client.send(STEER);
    expect(client.last('error')).toMatchObject({ code: 'too_late' });
    await client.send({ type: 'message', content: 'tell', message_id: 'm1' });
    await only(puppet.runs).context.steered('step:1', true);
    await client.send(STEER);
    expect(client.of('error')).toHaveLength(2);
    expect(client.last('error')).toMatchObject({ code: 'too_late' });
    only(puppet.runs).finish();
    await clock.settle();
  });

  it('G-26 is refused by an agent that reads none', async () => {
    const puppet = createPuppet('puppet');
    const { join, clock } = openGateway({ agents: [puppet.component] });
    const client = await join({ agent_id: 'puppet' });
    await client.send({ type: 'message', content: 'tell', message_id: 'm1' });
    await client.send(STEER);
    expect(client.last('error')).toMatchObject({ code: 'conflict' });
    expect(await only(puppet.runs).context.steered('step:1', true)).toEqual([]);
    only(puppet.runs).finish();
    await clock.settle();
  });
});
