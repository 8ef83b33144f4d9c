import { type Client, openAll } from './client.ts';
import type { HolderCommand, HolderReply } from './holder.ts';
import { SYSTEMS } from './systems.ts';

/** Opens connections to one server and holds them. The name of the system and the server's port as arguments. */

/** Connections that are opened at once. */
const OPENING = 100;

const [name, port] = process.argv.slice(2);
const system = SYSTEMS.find((one) => one.name === name);
const clients: Client[] = [];

async function obey({ open, close }: HolderCommand): Promise<void> {
  await openAll(open ?? 0, OPENING, async () => {
    const client = await system?.join(Number(port));
    client?.count();
    if (client) clients.push(client);
  });
  if (close) for (const client of clients.splice(0)) client.close();
}

function tell(reply: HolderReply): void {
  process.send?.(reply);
}

process.on('message', (command: HolderCommand) => {
  obey(command).then(
    () => {
      const { user, system: kernel } = process.cpuUsage();
      tell({ cpuUs: user + kernel });
    },
    (error: unknown) => tell({ error: String(error) }),
  );
});
process.on('disconnect', () => process.exit(0));
