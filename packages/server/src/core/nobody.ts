import type { Peer, Wire } from '../ports.ts';
import type { Dialect } from './dialect.ts';

/** For a feed whose entries this server reads itself: nothing is encoded, nothing is sent. */

const NOTHING = new Uint8Array();
const NO_WIRE: Wire = { name: 'none', frame: () => NOTHING, join: () => NOTHING };
export const NO_DIALECT: Dialect = { key: 'none', wire: NO_WIRE, text: () => '' };
export const NOBODY: Peer = {
  id: 'none',
  wire: NO_WIRE,
  bufferedBytes: 0,
  send() {},
  onceDrained() {},
  close() {},
};
