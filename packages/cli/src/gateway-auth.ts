import type { AuthOptions, GatewayOptions } from '@continuo/server';
import type { Auth } from './config/settings.ts';

/** Who may connect, as the gateway's options. */
export function gatewayAuth({ tokens, jwt }: Auth): Pick<GatewayOptions, 'auth'> {
  const auth: AuthOptions = { tokens, ...(jwt && { jwt }) };
  return { auth };
}
