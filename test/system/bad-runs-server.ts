import type { Component } from '@continuo/protocol';
import { createGateway, openStore, type StaticToken } from '@continuo/server';
import { AGENTS } from '../../packages/server/test/agents.ts';

/**
 * A gateway with the agents of the unit tests, over the store and the tokens of its argument, as JSON. It tells its
 * parent its port, and its problems on stderr.
 */

/** Keeps what it is told. */
const keeper: Component = {
  kind: 'agent',
  id: 'keeper',
  name: 'Keeper',
  async *run({ input, memories }) {
    yield { type: 'memory.started' };
    await memories.add(String(input));
    yield { type: 'memory.completed' };
  },
};

const { store, tokens } = JSON.parse(process.argv[2] ?? '') as {
  readonly store: string;
  readonly tokens: readonly StaticToken[];
};
const gateway = createGateway({ agents: [...AGENTS, keeper], store: await openStore(store), tokens });
const { port } = await gateway.listen({ port: 0 });
process.send?.({ port });
process.on('disconnect', () => process.exit(0));
