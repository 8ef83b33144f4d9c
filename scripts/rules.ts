import { readFileSync } from 'node:fs';
import { globSync } from 'node:fs';
import * as protocol from '@continuo/protocol';

/**
 * Fails when a rule of PROTOCOL.md or of ports.ts has no test whose name begins with its id, when a test names a rule
 * that is not there, or when a JSON example of PROTOCOL.md does not parse with the schema its fence names.
 */

const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
const problems: string[] = [];

const protocolText = read('PROTOCOL.md');
const portsText = read('packages/server/src/ports.ts');
const rules = [
  ...[...protocolText.matchAll(/^\*\*([LGPFRC]-\d+)\*\*/gm)].map((match) => match[1] ?? ''),
  ...[...portsText.matchAll(/^ \* ((?:ST|REC|BUS)-\d+) /gm)].map((match) => match[1] ?? ''),
];
for (const [index, rule] of rules.entries())
  if (rules.indexOf(rule) !== index) problems.push(`${rule} stands twice`);

/** `it('G-7 ...')`, `it(\`G-7 ...\`)`, and the suites' `id: 'ST-1'`. */
const NAMED = /(?:\b(?:it|test)(?:\.each\([^)]*\))?\(\s*|\bid: )['"`]([A-Z]+-\d+)\b/g;
const files = globSync([
  'packages/*/src/**/*.test.ts',
  'packages/*/test/**/*.test.ts',
  'packages/testing/src/suites/*.ts',
  'test/**/*.test.ts',
  'sim/**/*.test.ts',
]);
const tested = new Map<string, string>();
for (const file of files) for (const match of read(file).matchAll(NAMED)) tested.set(match[1] ?? '', file);

for (const rule of rules)
  if (!tested.has(rule)) problems.push(`${rule} has no test whose name begins with it`);
for (const [rule, file] of tested)
  if (!rules.includes(rule)) problems.push(`${file} tests ${rule}, which is no rule`);

const schemas = protocol as Readonly<Record<string, unknown>>;
let examples = 0;
for (const [, name = '', json = ''] of protocolText.matchAll(/^```json ?(\w*)\n([\s\S]*?)^```/gm)) {
  examples++;
  const schema = schemas[name] as
    | { safeParse?: (value: unknown) => { success: boolean; error?: unknown } }
    | undefined;
  if (!schema?.safeParse) {
    problems.push(`example ${examples}: "${name}" is no schema of the protocol`);
    continue;
  }
  const parsed = schema.safeParse(JSON.parse(json));
  if (!parsed.success) problems.push(`example ${examples} is no ${name}: ${parsed.error}`);
}

for (const problem of problems) console.error(problem);
console.log(`${rules.length} rules, ${examples} examples, ${problems.length} problems`);
process.exit(problems.length > 0 ? 1 : 0);
