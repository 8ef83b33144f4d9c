import type { Server } from 'node:http';
import { reportToBench } from './report.ts';

/** Listens on a free port of this machine, and tells the bench. */
export function listen(server: Server): void {
  server.listen(0, '127.0.0.1', () => {
    const address = server.address();
    if (typeof address === 'object' && address) reportToBench(address.port);
  });
}
