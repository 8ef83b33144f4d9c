import { expect, it } from 'vitest';
import { drain } from './drain.ts';

/** The full form is `npm run soak -- drain`. */
it('G-23 SIGTERM under connected clients with turns under way loses nothing, and brings all of them back', async () => {
  const { underWay, outcomes } = await drain(60);
  expect(underWay).toBeGreaterThan(50);
  expect(outcomes).toEqual({ ok: 60 });
});
