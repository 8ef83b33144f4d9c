/** The largest frame or request body a peer may send and a server will send, in bytes. */
export const MAX_PAYLOAD: number = 1024 * 1024;
/** The largest JSON text of one entry's data, in bytes: a frame around it still fits {@link MAX_PAYLOAD}. */
export const MAX_ENTRY_DATA: number = MAX_PAYLOAD - 8 * 1024;
/** Protocol versions of door 1. */
export const PROTOCOL_VERSION = 1;
export const MIN_PROTOCOL_VERSION = 1;
export const MAX_PROTOCOL_VERSION = 1;
/** Milliseconds between a server's liveness probes of a socket. */
export const HEARTBEAT_MS = 30_000;
/** Milliseconds a socket may take until its first frame. */
export const HANDSHAKE_MS = 10_000;
