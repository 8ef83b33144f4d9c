import type { GatewayOptions } from '@continuo/server';
import type { Auth } from './config/settings.ts';
import { UsageError } from './fail.ts';

/** Who may connect, as the gateway's options. The seam for its `auth: { tokens, jwt }`: it goes here and nowhere else. */
export function gatewayAuth({ tokens, jwt }: Auth): Pick<GatewayOptions, 'tokens'> {
  // A gateway that ignored the secret would be open to everybody while its operator believes it is not.
  if (jwt)
    throw new UsageError('This version takes no JWTs yet: use --token, and unset CONTINUO_JWT_SECRET.');
  return tokens.length > 0 ? { tokens } : {};
}
