import { demoAgents } from '@continuo/agents/demo';
import { createGateway, type LeaseTerms, openStore } from '@continuo/server';

/** The demos on a store, with leases of another length: which the command does not offer. It tells its parent its port. */

const { store, lease } = JSON.parse(process.argv[2] ?? '') as {
  readonly store: string;
  readonly lease: LeaseTerms;
};
const gateway = createGateway({ agents: demoAgents, store: await openStore(store), lease });
const { port } = await gateway.listen({ port: 0 });
process.send?.({ port });
process.on('disconnect', () => process.exit(0));
