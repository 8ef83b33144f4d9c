/** What the controls of `acked` are told on their channels. */

export type FromClient =
  | { readonly type: 'subscribe'; readonly channel: string }
  | { readonly type: 'publish'; readonly channel: string; readonly data: unknown }
  /** Got it: read, and not answered. */
  | { readonly type: 'ack'; readonly channel: string; readonly id: number };

export function messageText(channel: string, id: number, data: unknown): string {
  return JSON.stringify({ type: 'message', channel, id, data });
}

export function subscribedText(channel: string): string {
  return JSON.stringify({ type: 'subscribed', channel });
}
