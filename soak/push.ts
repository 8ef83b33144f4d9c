import { type ChaosOptions, chaos } from '../test/system/chaos.ts';
import { socketIoBeside } from './socket-io.ts';

const SEED = 20_261_120;
const FULL: ChaosOptions = {
  seed: SEED,
  consumers: 200,
  channels: 20,
  messages: 20_000,
  everyMs: 60,
  killsAtMs: [20_000, 40_000],
};

/** Two hundred consumers under cuts, refusals, failing handlers and kills; then Socket.IO under the same cuts and kills. */
export async function soakPush(): Promise<void> {
  const { handled, deadLetters, ms, ...report } = await chaos(FULL);
  console.log(
    `${FULL.consumers} consumers on ${FULL.channels} channels, ${FULL.messages} messages, seed ${SEED}: ` +
      `${handled} handled, ${deadLetters} given up, 0 lost, in ${Math.round(ms / 1000)} s; ` +
      `${report.cuts} cuts, ${report.kills} kills, ${report.toPolling} moves to polling, ` +
      `${report.toWebSocket} to WebSocket, ${report.handlerFailures} failed handlers, ` +
      `${report.publishedAgain} publishes sent again; on the wire ${report.sent}, of which ${report.redelivered} marked, ` +
      '0 again without a mark',
  );
  const beside = await socketIoBeside(FULL);
  const share = ((beside.lost / beside.expected) * 100).toFixed(2);
  console.log(
    `Socket.IO with connectionStateRecovery, the same proxies, ${beside.cuts} cuts, ${FULL.killsAtMs.length} kills: ` +
      `${beside.lost} of ${beside.expected} lost (${share} %), ${beside.doubled} doubled`,
  );
}
