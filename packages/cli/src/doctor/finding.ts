/** What one look at the machine found. */
export interface Finding {
  readonly what: string;
  readonly found: string;
  /** Only where something is wrong. */
  readonly remedy?: string;
}

/** A table for people: one line a finding, and under a problem what to do. */
export function tableOf(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ what }) => what.length));
  const lines = findings.flatMap(({ what, found, remedy }) => {
    const line = `${remedy === undefined ? 'ok     ' : 'PROBLEM'}  ${what.padEnd(width)}  ${found}`;
    return remedy === undefined ? [line] : [line, `${' '.repeat(width + 11)}-> ${remedy}`];
  });
  return `${lines.join('\n')}\n`;
}
