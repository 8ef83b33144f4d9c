import type { Client } from './client.ts';
import type { Subject } from './systems.ts';

/** Viewers of one stream of messages that drop, miss some, and come back for them. */

/** A subject that keeps what a viewer misses. */
export interface Recovering extends Subject {
  open(port: number): Promise<Room>;
}

export interface Room {
  /** Adds so many messages; resolves when all of them are there. */
  append(count: number): Promise<void>;
  /** A new viewer that stands behind the newest message. */
  enter(): Promise<Viewer>;
}

export interface Viewer {
  drop(): void;
  /** Resolves when it has asked for what it missed; `onAll` is called when that many messages have come. */
  comeBack(missed: number, onAll: () => void): Promise<void>;
  /** Throws when it got anything but what it missed. From then on it stands behind the newest message. */
  check(): void;
}

/** Answers of the handshake that are counted with the messages. */
const HANDSHAKE_ANSWERS = 1;

export interface ViewerOptions {
  /** A connection that is ready for `resume`. */
  dial(onMessages: (count: number) => void): Promise<Client>;
  /** A text of so many bytes is a message. */
  readonly messageBytes: number;
  /** What it says to come back; made anew when it has moved. */
  resumeFrame(): Buffer;
  /** Throws when this is not what was missed. */
  checkTexts(texts: readonly string[]): void;
}

export function createViewer(
  first: Client,
  { dial, messageBytes, resumeFrame, checkTexts }: ViewerOptions,
): Viewer {
  let client = first;
  let resume = resumeFrame();
  return {
    drop: () => client.close(),
    async comeBack(missed, onAll) {
      let awaited = missed + HANDSHAKE_ANSWERS;
      client = await dial((count) => {
        awaited -= count;
        if (awaited === 0) onAll();
      });
      client.record(messageBytes);
      client.send(resume);
    },
    check() {
      checkTexts(client.recorded());
      resume = resumeFrame();
    },
  };
}
