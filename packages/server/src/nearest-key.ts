/** The known key that a wrong one was probably meant to be: a third of its letters differ, or two changed places. */
export function nearestKey(wrong: string, known: readonly string[]): string | null {
  const word = wrong.toLowerCase();
  let nearest: string | null = null;
  let least = Math.max(word.length < 4 ? 1 : 2, Math.floor(word.length / 3)) + 1;
  for (const key of known) {
    const differing = distance(word, key.toLowerCase());
    if (differing >= least) continue;
    least = differing;
    nearest = key;
  }
  return nearest;
}

/** How many letters must be changed, added or taken away (Levenshtein). */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (const [index, letter] of from.split('').entries()) {
    const next = [index + 1];
    for (const [column, other] of to.split('').entries()) {
      const changed = (row[column] ?? 0) + (letter === other ? 0 : 1);
      next.push(Math.min(changed, (row[column + 1] ?? 0) + 1, (next[column] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
