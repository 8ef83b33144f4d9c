import { textOf } from '../errors.ts';

/** A token, or who makes one. */
export type TokenSource = string | (() => string | Promise<string>);

/** Why a server refused: in words, or as an error of its own. */
export type Reason = string | Error;

/** The token that the next greeting presents. */
export interface Tokens {
  readonly current: string | undefined;
  /**
   * Asks the source for a dial's token, one call at a time; `undefined` where there is no source to ask. Resolves with
   * the reason of the refusal when the source has no other token than the refused one; rejects with what it threw.
   */
  fetch(): Promise<Reason | null> | undefined;
  /** The server refused the current token: whether the source may be asked once more. */
  refused(reason: Reason): boolean;
  /** Forgets a refusal: a token was taken, or somebody connects anew. */
  forgive(): void;
}

export function createTokens(source: TokenSource | undefined): Tokens {
  const ask = typeof source === 'function' ? source : null;
  let current = textOf(source);
  let refusal: { readonly token: string | undefined; readonly reason: Reason } | null = null;
  /** A dial that was given up leaves its call to the next one. */
  let flight: Promise<Reason | null> | undefined;

  return {
    get current() {
      return current;
    },
    fetch() {
      if (!ask) return undefined;
      flight ??= Promise.resolve()
        .then(ask)
        .then((token) => {
          if (refusal && refusal.token === token) return refusal.reason;
          current = token;
          return null;
        })
        .finally(() => {
          flight = undefined;
        });
      return flight;
    },
    refused(reason) {
      if (!ask || refusal) return false;
      refusal = { token: current, reason };
      return true;
    },
    forgive() {
      refusal = null;
    },
  };
}
