import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import type { Limits } from '../limits.ts';

/** How many sockets there may be at once, of everybody and of one address. */

/** Why an upgrade is refused: an HTTP status, a sentence, and when to try again. */
export interface Refusal {
  readonly status: number;
  readonly message: string;
  readonly retryAfterSeconds?: number;
}

export interface Admission {
  /** Why one more socket of this address is refused, or `null`. */
  refuse(address: string): Refusal | null;
  /** Counts a socket. Returns what counts it off; the second call does nothing. */
  enter(address: string): () => void;
}

const RETRY_AFTER_SECONDS = 5;

export function createAdmission({
  connections,
  connectionsPerAddress,
}: Pick<Limits, 'connections' | 'connectionsPerAddress'>): Admission {
  const counts = new Map<string, number>();
  let total = 0;

  return {
    refuse(address) {
      if (total >= connections) {
        return {
          status: 503,
          message: `This server has ${connections} connections and takes no more. Try again in some seconds.`,
          retryAfterSeconds: RETRY_AFTER_SECONDS,
        };
      }
      if ((counts.get(address) ?? 0) < connectionsPerAddress) return null;
      return {
        status: 429,
        message: `Your address has ${connectionsPerAddress} connections: close one of them first.`,
        retryAfterSeconds: RETRY_AFTER_SECONDS,
      };
    },

    enter(address) {
      let isCounted = true;
      total++;
      counts.set(address, (counts.get(address) ?? 0) + 1);
      return () => {
        if (!isCounted) return;
        isCounted = false;
        total--;
        const left = (counts.get(address) ?? 0) - 1;
        if (left > 0) counts.set(address, left);
        else counts.delete(address);
      };
    },
  };
}

/** Who connects. Only the last entry of `X-Forwarded-For` is the proxy's own; what stands before it anyone can send. */
export function addressOf(
  { headers, socket }: Pick<IncomingMessage, 'headers' | 'socket'>,
  trustProxy: boolean,
): string {
  const remote = plain(socket.remoteAddress ?? '');
  if (!trustProxy) return remote;
  const forwarded = [headers['x-forwarded-for'] ?? ''].flat().join(',');
  const last = plain(forwarded.slice(forwarded.lastIndexOf(',') + 1).trim());
  return isIP(last) === 0 ? remote : last;
}

/** An address without its port and brackets; IPv4 in its own form. */
function plain(address: string): string {
  const bare = /^\[(.*)\](:\d+)?$/.exec(address)?.[1] ?? /^([\d.]+):\d+$/.exec(address)?.[1] ?? address;
  return /^::ffff:([\d.]+)$/i.exec(bare)?.[1] ?? bare;
}
