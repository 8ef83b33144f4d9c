import { createSeededRandom, dialLink, NO_FAULTS } from '@continuo/testing';
import type { SocketPath } from '../../server/test/frames.ts';
import { openGateway, type TestGateway, type TestGatewayOptions } from '../../server/test/gateway.ts';
import type { Platform } from '../src/connection/platform.ts';
import { GatewayClient } from '../src/gateway-client.ts';
import type { GatewayClientOptions } from '../src/options.ts';

/** A network without faults between a gateway's door and its clients, which can be cut: what a client needs of the world. */
export function openNetwork({ gateway, clock }: Pick<TestGateway, 'gateway' | 'clock'>, path: SocketPath) {
  const random = createSeededRandom(7);
  const cuts = new Set<() => void>();
  const platform: Platform = {
    now: clock.now,
    timer: (ms, run) => clock.schedule(clock.now() + ms, run),
    random: random.next,
    id: random.id,
    onWake: () => () => {},
    dial: () =>
      dialLink({
        clock,
        random: random.fork(),
        faults: NO_FAULTS,
        accept(peer, { cut }) {
          cuts.add(cut);
          return gateway.sockets.open(peer, { path, credential: undefined, pause() {}, resume() {} });
        },
      }),
  };
  return {
    platform,
    /** Lets a call be answered. */
    async settle<T>(promise: Promise<T>): Promise<T> {
      promise.catch(() => {});
      await clock.advance(200);
      return promise;
    },
    cutAll() {
      for (const cut of cuts) cut();
      cuts.clear();
    },
  };
}

/** A real gateway under a fake clock, and clients of it over a network that can be cut. */
export function openWorld(options: TestGatewayOptions = {}) {
  const server = openGateway(options);
  const { clock } = server;
  const { platform, settle, cutAll } = openNetwork(server, '/');
  const errors: unknown[] = [];

  function client(more: Partial<GatewayClientOptions> = {}): GatewayClient {
    return new GatewayClient({
      url: 'ws://there/',
      agentId: 'echo',
      onError: (error) => errors.push(error),
      ...more,
      platform,
    });
  }

  return {
    server,
    clock,
    errors,
    client,
    settle,
    async join(more?: Partial<GatewayClientOptions>) {
      const joined = client(more);
      await settle(joined.connect());
      return joined;
    },
    cutAll,
  };
}
