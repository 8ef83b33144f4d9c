import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import * as protocol from './index.ts';

const text = readFileSync(new URL('../../../PROTOCOL.md', import.meta.url), 'utf8');
const examples = [...text.matchAll(/^```json (\w+)\n([\s\S]*?)^```$/gm)].map(
  ([, name = '', json = '']) => [name, json] as const,
);

describe('PROTOCOL.md', () => {
  it('has an example for the frames of every door', () => {
    expect(examples.length).toBeGreaterThan(25);
  });

  it.each(examples)('shows a %s whose every field the schema knows', (name, json) => {
    const schema: unknown = Reflect.get(protocol, name);
    if (!(schema instanceof z.ZodType)) throw new Error(`${name} is no schema of the protocol`);
    const example: unknown = JSON.parse(json);
    const { request_id: _, ...known } = example as { request_id?: unknown };
    expect(schema.parse(example)).toMatchObject(known);
  });
});

describe('the limits', () => {
  it('L-12 let a frame have 1 MiB, L-17 an entry 8 KiB less', () => {
    expect(protocol.MAX_PAYLOAD).toBe(1_048_576);
    expect(protocol.MAX_ENTRY_DATA).toBe(1_048_576 - 8_192);
  });

  it('G-2 give a socket 10 s for its first frame', () => {
    expect(protocol.HANDSHAKE_MS).toBe(10_000);
  });
});
