import { createEventQueue } from '../event-queue.ts';
import { CloseError, type PushFrame } from './transport.ts';

/** Frames that came and were not received. */
const UNREAD_FRAMES = 10_000;

/** What a transport hands to its `receive()`: in order, each once. With 10,000 unread the connection is over. */
export interface Frames {
  push(frame: PushFrame): void;
  end(reason: CloseError): void;
  /** Rejects with the reason of the end, when all that came before is taken. */
  take(): Promise<PushFrame>;
}

export function createFrames(): Frames {
  const queue = createEventQueue<PushFrame>(UNREAD_FRAMES, () => {});
  let end = new CloseError(1006, 'The transport is not connected.');
  return {
    push: queue.push,
    end(reason) {
      end = reason;
      queue.end(reason);
    },
    async take() {
      const { value, done } = await queue.next();
      if (done) throw end;
      return value;
    },
  };
}
