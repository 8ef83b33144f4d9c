import { openCrowd } from './crowd.ts';
import type { GeneratorCommand, GeneratorReply } from './generator.ts';
import { STREAMS } from './streams.ts';
import { SYSTEMS } from './systems.ts';

/** The subscribers of one server. The name of the system, the server's port and their number as arguments. */

const [name, port, size] = process.argv.slice(2);
const system = [...SYSTEMS, ...STREAMS].find((one) => one.name === name);
if (!system) throw new Error(`there is no system "${name}"`);
const opening = openCrowd(system, Number(port), Number(size));

async function obey(command: GeneratorCommand): Promise<number> {
  const crowd = await opening;
  if (command.kind === 'publish') return crowd.publish(command.load);
  if (command.kind === 'check') crowd.check();
  return 0;
}

function tell(reply: GeneratorReply): void {
  process.send?.(reply);
}

function answer(done: Promise<number>): void {
  done.then(
    (messages) => {
      const { user, system: kernel } = process.cpuUsage();
      tell({ messages, cpuUs: user + kernel });
    },
    (error: unknown) => tell({ error: String(error) }),
  );
}

process.on('message', (command: GeneratorCommand) => answer(obey(command)));
process.on('disconnect', () => process.exit(0));
answer(opening.then(() => 0));
