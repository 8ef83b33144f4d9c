import { isLimit } from './failure.ts';
import { Paused } from './paused.ts';

/**
 * Waits for all, so that whatever began has its end. Rejects with a limit of the run before a pause, and with a pause
 * before a failure: a question that is open must find its asker when it is answered. The failure counts then.
 */
export async function settleAll<T>(work: readonly Promise<T>[]): Promise<readonly T[]> {
  const settled = await Promise.allSettled(work);
  const reasons: unknown[] = settled.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
  if (reasons.length > 0) {
    throw reasons.find(isLimit) ?? reasons.find((reason) => reason instanceof Paused) ?? reasons[0];
  }
  return settled.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
}

/** `null` where the work waits for a person. */
export async function unlessPaused<T>(work: Promise<T>): Promise<T | null> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof Paused) return null;
    throw error;
  }
}
