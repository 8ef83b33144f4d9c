/** Throws a sentence that names the option, and the value that it cannot have. */
export function checkOption(name: string, value: unknown, type: string, isGood = true): void {
  if (typeof value === type && isGood) return;
  throw new RangeError(`${name} must not be ${value} (${typeof value})`);
}
