import { clientKeyOf, looksAlike, type MembersFold, type Told, toldOf } from './members-fold.ts';

/** What became of the merged view between two folds, where the entries between them are lost. */
export function missedBetween(
  before: MembersFold,
  after: MembersFold,
  position: { readonly epoch: string; readonly offset: number },
): readonly Told[] {
  const missed: Told[] = [];
  for (const member of before.on(null)) {
    const now = after.get(member);
    const id = idOf(clientKeyOf(member), position);
    for (const channel of member.channels.keys()) {
      if (!now?.channels.has(channel)) missed.push(toldOf(member, channel, id, 'leave'));
      else if (!looksAlike(member.said, now.said)) missed.push(toldOf(now, channel, id, 'update'));
    }
  }
  for (const member of after.on(null)) {
    const known = before.get(member);
    const id = idOf(clientKeyOf(member), position);
    for (const channel of member.channels.keys())
      if (!known?.channels.has(channel)) missed.push(toldOf(member, channel, id, 'join'));
  }
  return missed;
}

/** What a channel has to be told where the last word on a client is not true any more. */
export function correctionOf(
  told: Told,
  fold: MembersFold,
  position: { readonly epoch: string; readonly offset: number },
): readonly Told[] {
  const id = idOf(clientKeyOf(told), position);
  const member = fold.get(told);
  if (!member?.channels.has(told.channel))
    return told.type === 'leave' ? [] : [{ ...told, id, type: 'leave', status: 'offline' }];
  if (told.type !== 'leave' && looksAlike(told, member.said)) return [];
  return [toldOf(member, told.channel, id, told.type === 'leave' ? 'join' : 'update')];
}

/** The same on every server that stands there. */
function idOf(key: string, { epoch, offset }: { readonly epoch: string; readonly offset: number }): string {
  return `now:${epoch}:${offset}:${key}`;
}
