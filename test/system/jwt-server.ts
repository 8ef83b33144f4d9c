import { demoAgents } from '@continuo/agents/demo';
import {
  createGateway,
  createMemoryStore,
  type JwtOptions,
  systemClock,
  systemRandom,
} from '@continuo/server';

/** A gateway whose configuration is its argument, as JSON. It tells its parent its port, and its problems on stderr. */

const { jwt, handshakeMs } = JSON.parse(process.argv[2] ?? '') as {
  readonly jwt: JwtOptions;
  readonly handshakeMs: number;
};
const gateway = createGateway({
  agents: demoAgents,
  store: createMemoryStore({ clock: systemClock, random: systemRandom }),
  auth: { jwt },
  limits: { handshakeMs },
});
const { port } = await gateway.listen({ port: 0 });
process.send?.({ port });
process.on('disconnect', () => process.exit(0));
