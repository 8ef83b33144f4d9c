/**
 * Thrown by a tool whose call cannot end before a person has answered. The call stays unfinished: it is not stored, and
 * it is run again when the run goes on.
 */
export class Paused extends Error {
  override readonly name = 'Paused';

  constructor(message = 'This waits for the answer of a person.') {
    super(message);
  }
}
