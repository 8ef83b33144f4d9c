/** Server-sent events, as far as a load generator needs them. */

const LF = 10;
const END = Buffer.from('\n\n');
/** A shorter event is a comment or an answer, not a message. */
const MESSAGE_BYTES = 200;

/**
 * Counts events in a response without reading them. Events of a channel are about as long as each other, so the end of
 * the next one is looked for where the length of the last says; only where it is not there are the bytes searched. An
 * event is counted with what frames the response's chunks: that never has an empty line in it.
 */
export class EventReader {
  /** Of the last event that was searched for. */
  #eventBytes = 0;
  /** Bytes since the last event's end, in chunks that were taken. */
  #passedBytes = 0;
  #endsWithLf = false;

  /** Returns how many messages were completed within the first `end` bytes of `chunk`. */
  take(chunk: Buffer, end: number): number {
    let messages = 0;
    let at = 0;
    while (at < end) {
      let next = at + this.#eventBytes - this.#passedBytes;
      const there = next - 2 >= at && next <= end && chunk[next - 1] === LF && chunk[next - 2] === LF;
      if (!there) next = this.#search(chunk, at, end);
      if (next < 0) break;
      if (this.#passedBytes + next - at >= MESSAGE_BYTES) messages++;
      this.#passedBytes = 0;
      at = next;
    }
    this.#passedBytes += end - at;
    this.#endsWithLf = this.#passedBytes > 0 && chunk[end - 1] === LF;
    return messages;
  }

  /** Where the event ends that begins at or before `at`; -1 when its end has not come. */
  #search(chunk: Buffer, at: number, end: number): number {
    const split = at === 0 && this.#endsWithLf && chunk[0] === LF;
    const found = split ? -1 : chunk.subarray(at, end).indexOf(END);
    if (!split && found < 0) return -1;
    const next = split ? 1 : at + found + END.length;
    const bytes = this.#passedBytes + next - at;
    if (bytes >= MESSAGE_BYTES) this.#eventBytes = bytes;
    return next;
  }
}
