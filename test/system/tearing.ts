import { type AddressInfo, connect, createServer } from 'node:net';

/** A proxy that lets through the first bytes of an answer, and then destroys the connection. */
export interface Tearing {
  readonly port: number;
  /** So many bytes of every answer arrive; `null`: all. */
  tearAfter(bytes: number | null): void;
  close(): Promise<void>;
}

export async function startTearing(target: number): Promise<Tearing> {
  let limit: number | null = null;
  const server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1');
    const left = { bytes: limit ?? Number.POSITIVE_INFINITY };
    client.on('error', () => client.destroy());
    upstream.on('error', () => client.destroy());
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
    client.pipe(upstream);
    upstream.on('data', (chunk) => {
      const passed = chunk.subarray(0, left.bytes);
      left.bytes -= passed.byteLength;
      if (passed.byteLength > 0) client.write(passed);
      // What was written goes out first: a reset would take it back.
      if (left.bytes <= 0) client.end(() => upstream.destroy());
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    tearAfter(bytes) {
      limit = bytes;
    },
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
