import { describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { PollMessages } from './poll.ts';
import { AckFrame, ChannelMessageFrame, ChannelName, PublishFrame, SubscribeFrame } from './push.ts';

const accepts = (schema: z.ZodType, value: unknown): boolean => schema.safeParse(value).success;

const NAMES: readonly (readonly [string, string, boolean])[] = [
  ['one letter', 'a', true],
  ['255 letters', 'x'.repeat(255), true],
  ['every sign that is allowed', 'A-Z/a.z:0_9', true],
  ['a dot alone', '.', true],
  ['two dots and a slash', '../', true],
  ['a name of Object.prototype', '__proto__', true],
  ['nothing', '', false],
  ['256 letters', 'x'.repeat(256), false],
  ['a space', 'my news', false],
  ['a line break at the end', 'news\n', false],
  ['a line break within', 'ne\nws', false],
  ['a star', 'news.*', false],
  ['a hash', 'news#1', false],
  ['a percent sign', 'news%2F', false],
  ['a letter with an accent', 'né', false],
  ['a digit of another script', '١', false],
  ['a NUL', 'a\u0000', false],
];

const FRAMES: readonly (readonly [string, z.ZodType, unknown, boolean])[] = [
  ['P-2 publishes null', PublishFrame, { type: 'channel.publish', channel: 'a', data: null }, true],
  ['P-2 publishes false', PublishFrame, { type: 'channel.publish', channel: 'a', data: false }, true],
  ['P-2 publishes no missing data', PublishFrame, { type: 'channel.publish', channel: 'a' }, false],
  [
    'P-2 publishes under no empty id',
    PublishFrame,
    { type: 'channel.publish', channel: 'a', data: 1, event_id: '' },
    false,
  ],
  ['P-5 acks without a channel', AckFrame, { type: 'message_ack', event_id: 'e' }, true],
  ['P-5 acks no number', AckFrame, { type: 'message_ack', event_id: 5 }, false],
  [
    'P-7 subscribes from the start',
    SubscribeFrame,
    { type: 'channel.subscribe', channel: 'a', since: 0 },
    true,
  ],
  [
    'P-7 subscribes from no fraction',
    SubscribeFrame,
    { type: 'channel.subscribe', channel: 'a', since: 0.5 },
    false,
  ],
  [
    'P-7 subscribes with no word for a flag',
    SubscribeFrame,
    { type: 'channel.subscribe', channel: 'a', delivery: 'false' },
    false,
  ],
  ['P-13 polls for half a second', PollMessages, { poll_token: 't', timeout: 0.5 }, true],
  ['P-13 polls for no time below 0', PollMessages, { poll_token: 't', timeout: -1 }, false],
  [
    'P-13 polls for no endless time',
    PollMessages,
    { poll_token: 't', timeout: Number.POSITIVE_INFINITY },
    false,
  ],
  ['P-12 polls with no token', PollMessages, { timeout: 1 }, false],
];

const MESSAGE = {
  type: 'channel_message',
  channel: 'a',
  data: 1,
  event_id: 'e',
  timestamp: 1.5,
  source: null,
  target: null,
  sequence: 1,
};

describe('the frames of door 2', () => {
  it.each(NAMES)('P-15 takes %s for a channel or not (%j)', (_name, channel, good) => {
    expect(accepts(ChannelName, channel)).toBe(good);
  });

  it.each(FRAMES)('%s', (_name, schema, frame, good) => {
    expect(accepts(schema, frame)).toBe(good);
  });

  it('P-2 keeps the data as it came, whatever it is', () => {
    for (const data of [null, 0, '', [], { a: [null] }]) {
      expect(PublishFrame.parse({ type: 'channel.publish', channel: 'a', data })).toHaveProperty(
        'data',
        data,
      );
    }
  });

  it('P-6 counts attempts from 1, and marks with true or not at all', () => {
    expect(accepts(ChannelMessageFrame, { ...MESSAGE, attempt: 1 })).toBe(true);
    expect(accepts(ChannelMessageFrame, { ...MESSAGE, attempt: 2, _redelivered: true })).toBe(true);
    expect(accepts(ChannelMessageFrame, { ...MESSAGE, attempt: 0 })).toBe(false);
    expect(accepts(ChannelMessageFrame, { ...MESSAGE, attempt: 1, _redelivered: false })).toBe(false);
  });
});
