import type { AddressInfo } from 'node:net';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** A TCP proxy between clients and servers that can be told to cut. */
export interface Proxy {
  readonly port: number;
  /** Live connections, oldest first. */
  readonly connections: readonly ProxyConnection[];
  /** Where new connections go: the first that can be reached, beginning with a different one each time. */
  setTargets(ports: readonly number[]): void;
  close(): Promise<void>;
}

export interface ProxyConnection {
  /** Of the client's side: which of the client's connections this is. */
  readonly clientPort: number;
  /** Of the server it was led to. */
  readonly targetPort: number;
  cut(): void;
}

export async function startProxy(onOpen: (connection: ProxyConnection) => void = () => {}): Promise<Proxy> {
  let targets: readonly number[] = [];
  let turn = 0;
  const connections: ProxyConnection[] = [];

  async function dialTarget(): Promise<Socket | null> {
    turn++;
    for (let index = 0; index < targets.length; index++) {
      const port = targets[(turn + index) % targets.length] ?? 0;
      const socket = connect(port, '127.0.0.1');
      const connected = await new Promise<boolean>((resolve) => {
        socket.once('connect', () => resolve(true));
        socket.once('error', () => resolve(false));
      });
      if (connected) return socket;
    }
    return null;
  }

  async function join(client: Socket): Promise<void> {
    client.on('error', () => client.destroy());
    const target = await dialTarget();
    if (!target || client.destroyed) {
      client.destroy();
      target?.destroy();
      return;
    }
    const cut = (): void => {
      client.destroy();
      target.destroy();
    };
    const connection: ProxyConnection = {
      clientPort: client.remotePort ?? 0,
      targetPort: target.remotePort ?? 0,
      cut,
    };
    connections.push(connection);
    target.on('error', cut);
    client.on('close', () => {
      const index = connections.indexOf(connection);
      if (index >= 0) connections.splice(index, 1);
      target.destroy();
    });
    target.on('close', () => client.destroy());
    client.pipe(target);
    target.pipe(client);
    onOpen(connection);
  }

  const server: Server = createServer((client) => {
    join(client).catch(() => client.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    connections,
    setTargets(ports) {
      targets = ports;
    },
    async close() {
      for (const connection of [...connections]) connection.cut();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
