import { type SlowReaderReport, slowReader } from '../test/system/slow-reader.ts';

const MB = 1024 * 1024;
/** Memory of a server goes on rising slowly over its first some hundred thousand messages, whoever reads. */
const FLOOD = { messages: 1_000_000, bytes: 128, warmUp: 400_000 };
const MOST_GROWTH = 32 * MB;

function check({ most, floodMs, readMs, ...report }: SlowReaderReport, what: string): void {
  const grown = Math.max(most.stopped, most.again) - most.all;
  console.log(
    `${FLOOD.messages} messages of ${FLOOD.bytes} bytes, ${what}: the server had ${(most.all / MB).toFixed(0)} MB while all ` +
      `read, ${((most.stopped - most.all) / MB).toFixed(1)} MB more while one did not, ` +
      `${((most.again - most.all) / MB).toFixed(1)} MB more when it read again; the slow one got ` +
      `${report.before} in order, then ${report.resets} resets, then ${report.after}; ` +
      `published in ${(floodMs / 1000).toFixed(1)} s, read in ${(readMs / 1000).toFixed(1)} s`,
  );
  if (grown > MOST_GROWTH) throw new Error(`L-5: the server grew by ${(grown / MB).toFixed(1)} MB`);
}

/** A million messages past a subscriber that does not read: with all of them kept, and with ten thousand. */
export async function soakSlow(): Promise<void> {
  const whole = await slowReader({ ...FLOOD, maxEntries: 1_100_000 });
  check(whole, 'all kept');
  if (whole.resets !== 0 || whole.before !== FLOOD.messages) throw new Error('P-3: the slow one missed some');
  const kept = 10_000;
  const trimmed = await slowReader({ ...FLOOD, maxEntries: kept });
  check(trimmed, `${kept} kept`);
  if (trimmed.resets !== 1) throw new Error(`P-9: ${trimmed.resets} resets`);
  if (trimmed.after !== kept) throw new Error(`L-4: ${trimmed.after} after it`);
}
