import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { RUN_ROUTES, RUN_SCHEMAS } from './run-routes.ts';

const of = (path: string): string[] =>
  RUN_ROUTES.filter((route) => route.path === path).map(({ method }) => method);

describe('the table of the routes of door 4', () => {
  it('R-25 has each route once, under a name of its own', () => {
    const places = RUN_ROUTES.map(({ method, path }) => `${method} ${path}`);
    expect(new Set(places).size).toBe(places.length);
    expect(new Set(RUN_ROUTES.map(({ name }) => name)).size).toBe(RUN_ROUTES.length);
  });

  it.each(['agents', 'teams', 'workflows'])('R-25 has all of them for %s', (kind) => {
    const run = `/${kind}/{id}/runs/{run_id}`;
    expect(of(`/${kind}`)).toEqual(['get']);
    expect(of(`/${kind}/{id}/runs`)).toEqual(['post', 'get']);
    expect(of(run)).toEqual(['get']);
    expect(of(`${run}/events`)).toEqual(['get']);
    for (const call of ['resume', 'cancel', 'continue', 'steer'])
      expect(of(`${run}/${call}`)).toEqual(['post']);
  });

  it.each(RUN_ROUTES.map((route) => [route.name, route] as const))(
    'R-25 says of %s what it answers, and when it refuses',
    (_name, { body, query, path, answers, refusals, isOpen }) => {
      expect(answers.some(({ status }) => status < 300)).toBe(true);
      expect(Object.keys(refusals)).toContain('503');
      expect(401 in refusals).toBe(!isOpen);
      if (body) expect(Object.keys(refusals)).toEqual(expect.arrayContaining(['400', '413', '422']));
      if (query) expect(Object.keys(refusals)).toContain('422');
      if (path.includes('{')) expect(Object.keys(refusals)).toContain('404');
      for (const { status } of answers) expect(refusals).not.toHaveProperty(String(status));
    },
  );

  it('R-25 can show every schema as JSON Schema', () => {
    for (const [name, schema] of Object.entries(RUN_SCHEMAS)) {
      const shown = z.toJSONSchema(schema, { io: 'input' });
      expect(Object.keys(shown).length, name).toBeGreaterThan(1);
    }
  });
});
