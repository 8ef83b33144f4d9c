import type { RetentionLimits } from './log.ts';

/** What holds for the channels of a pattern. What is absent is as the next shorter pattern says. */
export interface ChannelOptions extends RetentionLimits {
  /** Messages older than this are forgotten, and a channel that nobody uses for so long. Milliseconds. Default 24 h. */
  readonly maxAgeMs?: number;
  /** False: every subscriber is at most once, nothing is tracked. Default true. */
  readonly delivery?: boolean;
  /** Whether it is told who subscribes. Default true. */
  readonly presence?: boolean;
}

export type ChannelSettings = Required<ChannelOptions>;

/** Retention by count and bytes, and by age. */
export const CHANNEL_DEFAULTS: ChannelSettings = {
  maxEntries: 10_000,
  maxBytes: 64 * 1024 * 1024,
  maxAgeMs: 24 * 3_600_000,
  delivery: true,
  presence: true,
};

/** Names whose settings are remembered. */
const REMEMBERED = 10_000;

/**
 * The settings of a channel by its name. A pattern is a name, or a prefix ending in `*`. The longest that matches wins,
 * a name before a prefix; `base` is below them all.
 */
export function createChannelOptions(
  patterns: Readonly<Record<string, ChannelOptions>>,
  base: ChannelSettings = CHANNEL_DEFAULTS,
): (name: string) => ChannelSettings {
  const rows = Object.entries(patterns).map(([pattern, options]) => {
    const isPrefix = pattern.endsWith('*');
    const text = isPrefix ? pattern.slice(0, -1) : pattern;
    const weight = isPrefix ? text.length : Number.POSITIVE_INFINITY;
    return { weight, options, matches: (name: string) => (isPrefix ? name.startsWith(text) : name === text) };
  });
  rows.sort((one, other) => one.weight - other.weight);
  const known = new Map<string, ChannelSettings>();

  return (name) => {
    if (rows.length === 0) return base;
    let settings = known.get(name);
    if (!settings) {
      settings = { ...base };
      for (const row of rows) if (row.matches(name)) settings = { ...settings, ...given(row.options) };
      if (known.size >= REMEMBERED) known.clear();
      known.set(name, settings);
    }
    return settings;
  };
}

/** Without the fields that say `undefined`. */
function given(options: ChannelOptions): ChannelOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}
