import type { SocketLike } from '../connection/platform.ts';
import type { PushTransport } from './transport.ts';

/** Transports that are being left: the same one is connected again when that is done. */
const leaving = new WeakMap<PushTransport, Promise<unknown>>();

/** A transport as the socket that the connection machine knows: what is missing to a socket, it does. */
export function socketOf(transport: PushTransport): SocketLike {
  let isOver = false;
  const socket: SocketLike = {
    onopen: null,
    onmessage: null,
    onclose: null,
    onerror: null,
    send(text) {
      transport.send(JSON.parse(text)).catch(fail);
    },
    close() {
      isOver = true;
      leave();
    },
  };

  function leave(): void {
    leaving.set(
      transport,
      transport.disconnect().catch(() => {}), // gone is gone
    );
  }

  function fail(error: unknown): void {
    if (isOver) return;
    isOver = true;
    leave();
    const isClose = error instanceof Error && 'code' in error && typeof error.code === 'number';
    const reason = error instanceof Error ? error.message : String(error);
    socket.onclose?.({ code: isClose ? Number(error.code) : 1006, reason });
  }

  async function run(): Promise<void> {
    await leaving.get(transport);
    if (isOver) return;
    await transport.connect();
    if (isOver) return leave(); // it was closed while it connected
    socket.onopen?.(undefined as never);
    while (!isOver) {
      const frame = await transport.receive();
      if (!isOver) socket.onmessage?.({ data: JSON.stringify(frame) });
    }
  }

  run().catch(fail);
  return socket;
}
