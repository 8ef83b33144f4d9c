import { WireError } from './errors.ts';
import { MAX_PROTOCOL_VERSION, MIN_PROTOCOL_VERSION } from './limits.ts';

/** The highest version both sides speak. Absent bounds mean 1. Throws the wire error that the client is told. */
export function negotiate(min: unknown, max: unknown): number {
  const lowest = min ?? 1;
  const highest = max ?? 1;
  if (!isVersion(lowest) || !isVersion(highest) || lowest > highest) {
    throw new WireError(
      'invalid_protocol_hello',
      'min_version and max_version must be integers with min_version <= max_version.',
    );
  }
  if (lowest > MAX_PROTOCOL_VERSION || highest < MIN_PROTOCOL_VERSION) {
    throw new WireError(
      'version_unsupported',
      `This server speaks versions ${MIN_PROTOCOL_VERSION} to ${MAX_PROTOCOL_VERSION}; the client asked for ${lowest} to ${highest}. Update the older side.`,
      { details: { server_min_version: MIN_PROTOCOL_VERSION, server_max_version: MAX_PROTOCOL_VERSION } },
    );
  }
  return Math.min(highest, MAX_PROTOCOL_VERSION);
}

function isVersion(value: unknown): value is number {
  return Number.isSafeInteger(value);
}
