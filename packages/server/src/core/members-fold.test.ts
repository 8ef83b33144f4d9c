import type { Entry } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { range } from '../../test/pick.ts';
import { createMembersFold, type LobbyChange } from './members-fold.ts';

let offset = 0;
function entry(change: Partial<LobbyChange>, at = 0): Entry {
  const data: LobbyChange = {
    user: 'u',
    clientId: 'ann',
    server: 's1',
    polling: false,
    by: 's1',
    batch: 1,
    join: [],
    leave: [],
    ...change,
  };
  return { log: 'presence', epoch: 'e', offset: ++offset, at, id: `i${offset}`, type: 'presence', data };
}

describe('the fold of the lobby', () => {
  it('P-21 says what an entry changed in the merged view, and nothing else', () => {
    const fold = createMembersFold();
    const typesOf = (change: Partial<LobbyChange>): readonly string[] =>
      fold.apply(entry(change)).map(({ type, channel }) => `${type} ${channel}`);
    expect(typesOf({ join: ['a', 'b'] })).toEqual(['join a', 'join b']);
    expect(typesOf({ server: 's2', join: ['a'] })).toEqual([]);
    expect(typesOf({ leave: ['a', 'b'] })).toEqual(['leave b']);
    expect(typesOf({ status: 'online' })).toEqual([]); // it looked so before
    expect(typesOf({ status: 'busy' })).toEqual(['update a']);
    expect(typesOf({ gone: 'here' })).toEqual([]);
    expect(typesOf({ server: 's2', gone: 'here' })).toEqual(['leave a']);
    expect(typesOf({ server: 's2', gone: 'here' })).toEqual([]);
    expect([...fold.on(null)]).toEqual([]);
  });

  it('P-21 keeps two users apart who chose one client id', () => {
    const fold = createMembersFold();
    fold.apply(entry({ join: ['a'] }));
    fold.apply(entry({ user: 'v', join: ['a'] }));
    fold.apply(entry({ gone: 'here' }));
    expect([...fold.on('a')].map(({ user }) => user)).toEqual(['v']);
  });

  it('P-26 is the same after its record', () => {
    const fold = createMembersFold();
    fold.apply(entry({ join: ['a', 'b'], status: 'busy', metadata: { role: 'agent' } }));
    fold.apply(entry({ server: 's2', polling: true, join: ['b'] }));
    fold.apply(entry({ clientId: 'bob', join: ['a'], status: 'away' }));
    fold.apply(entry({ clientId: 'bob', gone: 'here' }));
    const copy = createMembersFold(JSON.parse(JSON.stringify(fold.toRecord())));
    expect(copy.toRecord()).toEqual(fold.toRecord());
    expect(copy.said({ user: 'u', clientId: 'bob' })).toEqual({ status: 'away' });
    expect([...copy.on('b')].map(({ clientId }) => clientId)).toEqual(['ann']);
    expect(copy.apply(entry({ gone: 'here' })).map(({ type, channel }) => `${type} ${channel}`)).toEqual([
      'leave a',
    ]);
  });

  it('P-23 keeps the status of 10,000 clients that are gone, and forgets the longest gone first', () => {
    const fold = createMembersFold();
    for (const number of range(1, 10_001)) {
      fold.apply(entry({ clientId: `c${number}`, join: ['a'], status: 'busy' }));
      fold.apply(entry({ clientId: `c${number}`, gone: 'here' }));
    }
    const saidOf = (clientId: string): unknown => fold.said({ user: 'u', clientId }).status;
    expect([saidOf('c1'), saidOf('c2'), saidOf('c10001')]).toEqual([undefined, 'busy', 'busy']);
  });

  it('P-25 remembers what each server told last, until it is forgotten', () => {
    const fold = createMembersFold();
    fold.apply(entry({ join: ['a'], batch: 1 }));
    fold.apply(entry({ clientId: 'bob', join: ['a'], batch: 2 }));
    fold.apply(entry({ clientId: 'eve', join: ['a'], batch: 2 }));
    expect(fold.lastOf('s1').map(({ clientId }) => clientId)).toEqual(['bob', 'eve']);
    fold.forget('s1');
    expect(fold.lastOf('s1')).toEqual([]);
    expect([...fold.servers()]).toEqual(['s1']);
  });
});
