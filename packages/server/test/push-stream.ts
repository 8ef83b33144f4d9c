import { ErrorFrame, PollBatch } from '@continuo/protocol';
import { followEvents, type TestEvents } from './event-stream.ts';
import type { Batch } from './poller.ts';

/** The client's end of a stream of door 2: an EventSource whose `onmessage` checks every frame against its schema. */
export interface PushStream extends TestEvents {
  readonly messages: Batch['messages'];
  readonly errors: readonly ErrorFrame[];
}

export function followPushStream(response: Response, abort: AbortController): PushStream {
  const { element } = PollBatch.shape.messages;
  const messages: Batch['messages'] = [];
  const errors: ErrorFrame[] = [];
  const events = followEvents(response, abort, ({ event, data }) => {
    try {
      if (event !== 'message') throw new Error(`an EventSource's onmessage does not get "${event}"`);
      const frame = JSON.parse(data) as { readonly type?: unknown };
      if (frame.type === 'error') errors.push(ErrorFrame.parse(frame));
      else messages.push(element.parse(frame));
    } catch (error) {
      messages.length = 0; // no test goes on with a stream that is wrong
      throw error;
    }
  });
  return Object.assign(events, { messages, errors });
}
