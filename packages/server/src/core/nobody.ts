import type { Peer, Wire } from '../ports.ts';
import type { Dialect } from './dialect.ts';

const NOTHING = new Uint8Array();
const NO_WIRE: Wire = { name: 'none', frame: () => NOTHING, join: () => NOTHING };

/** The peer of a feed that is read for its own sake: by the server, or for its end. */
export const NOBODY: Peer = {
  id: 'none',
  wire: NO_WIRE,
  bufferedBytes: 0,
  send() {},
  onceDrained() {},
  close() {},
};
export const NO_DIALECT: Dialect = { key: 'none', wire: NO_WIRE, text: () => '' };
