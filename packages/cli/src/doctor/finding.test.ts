import { expect, it } from 'vitest';
import { DEFAULTS, resolveSettings } from '../config/settings.ts';
import { type Finding, tableOf } from './finding.ts';
import { lookAtFiles, lookAtNode } from './machine.ts';

it('a problem says what to do, under what was found', () => {
  const findings: readonly Finding[] = [
    { what: 'port', found: '1 is free' },
    { what: 'store', found: 'it is full', remedy: 'empty it' },
  ];
  expect(tableOf(findings)).toBe(
    ['ok       port   1 is free', 'PROBLEM  store  it is full', '                -> empty it', ''].join('\n'),
  );
});

it.each([
  ['22.13.0', false, undefined, /reads no continuo\.config\.ts/],
  ['24.21.0', true, undefined, /^24\.21\.0$/],
  ['22.12.0', true, 'install Node 22.13 or newer', /too old/],
  ['20.19.0', true, 'install Node 22.13 or newer', /too old/],
])('Node %s', (version, readsTypeScript, remedy, found) => {
  const finding = lookAtNode(version, readsTypeScript);
  expect(finding.remedy).toBe(remedy);
  expect(finding.found).toMatch(found);
});

it.each([
  [20_000, {}, undefined],
  [Number.POSITIVE_INFINITY, {}, undefined],
  [null, {}, undefined],
  [1_024, {}, 'raise the limit (ulimit -n 15200), or set limits.connections to 824'],
  [1_024, { connections: 800 }, undefined],
  [1_024, { connections: Number.POSITIVE_INFINITY }, undefined],
])('%s open files for %j', (available, limits, remedy) => {
  const settings = resolveSettings({ flags: {}, environment: {}, config: { limits } });
  expect(settings.port).toBe(DEFAULTS.port);
  expect(lookAtFiles(settings, available).remedy).toBe(remedy);
});
