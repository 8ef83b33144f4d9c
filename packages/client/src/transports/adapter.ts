import type { SocketLike } from '../connection/platform.ts';
import { closeOf, type PushTransport } from './transport.ts';

/** Transports that are being left: the same one is connected again when that is done. */
const leaving = new WeakMap<PushTransport, Promise<unknown>>();

/** Whatever it does, also what it throws at once, is a promise's. */
const attempt = async (act: () => Promise<void>): Promise<void> => act();

/** A transport as the socket that the connection machine knows. */
export function socketOf(transport: PushTransport): SocketLike {
  let isOver = false;
  const socket: SocketLike = {
    onopen: null,
    onmessage: null,
    onclose: null,
    onerror: null,
    send(text) {
      attempt(() => transport.send(JSON.parse(text))).catch(fail);
    },
    close() {
      isOver = true;
      const left = attempt(() => transport.disconnect()).catch(() => {}); // gone is gone
      leaving.set(transport, left);
    },
  };

  function fail(error: unknown): void {
    if (isOver) return;
    socket.close();
    socket.onclose?.(closeOf(error));
  }

  async function run(): Promise<void> {
    await leaving.get(transport);
    if (isOver) return;
    await transport.connect();
    if (isOver) return socket.close(); // it was closed while it connected
    socket.onopen?.(undefined as never);
    while (!isOver) {
      const frame = await transport.receive();
      if (!isOver) socket.onmessage?.({ data: JSON.stringify(frame) });
    }
  }

  run().catch(fail);
  return socket;
}
