/** One after the other for each key, in the order of the calls, however long each takes. */
export function createTurns(): <T>(key: string, run: () => Promise<T>) => Promise<T> {
  const newest = new Map<string, Promise<unknown>>();
  return async (key, run) => {
    const turn = (newest.get(key) ?? Promise.resolve()).then(run, run);
    newest.set(key, turn);
    try {
      return await turn;
    } finally {
      if (newest.get(key) === turn) newest.delete(key);
    }
  };
}
