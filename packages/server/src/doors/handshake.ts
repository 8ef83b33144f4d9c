import {
  type HelloErrorFrame,
  type HelloFrame,
  type JoinFrame,
  negotiate,
  type WireError,
} from '@continuo/protocol';

/** What `join` and `hello` ask for alike. */
export interface Handshake {
  readonly answer: 'joined' | 'hello_ok';
  readonly agentId: string;
  readonly version: number;
  readonly token: string | undefined;
  readonly sessionId: string | undefined;
  readonly since: number;
  readonly epoch: string | undefined;
  readonly clientId: string | undefined;
}

/** Throws what the client is told when the versions do not meet. */
export function handshakeOf(frame: JoinFrame | HelloFrame): Handshake {
  const [min, max] =
    frame.type === 'join'
      ? [frame.min_version, frame.max_version]
      : [frame.protocol?.min ?? frame.protocol_min, frame.protocol?.max ?? frame.protocol_max];
  return {
    answer: frame.type === 'join' ? 'joined' : 'hello_ok',
    agentId: frame.agent_id,
    version: negotiate(min, max),
    token: frame.token ?? undefined,
    sessionId: frame.session_id ?? undefined,
    since: frame.since ?? 0,
    epoch: frame.epoch ?? undefined,
    clientId: frame.client_id ?? undefined,
  };
}

/** A refused `hello`. Deployed clients take all codes but `rate_limited` for final, and that one for a reason to come back. */
export function helloError({ code, message, details }: WireError): HelloErrorFrame {
  const refuse = (refusal: HelloErrorFrame['code'], nextStep: string): HelloErrorFrame => ({
    type: 'hello_error',
    code: refusal,
    message,
    next_step: nextStep,
  });
  switch (code) {
    case 'unauthorized':
      return refuse(
        details.missing ? 'auth_required' : 'auth_unauthorized',
        'Connect again with a valid token.',
      );
    case 'forbidden':
      return refuse('auth_unauthorized', 'Ask for a token that has this right.');
    case 'version_unsupported':
    case 'invalid_protocol_hello':
      return refuse('protocol_unsupported', 'Update the older side.');
    case 'agent_not_found':
      return refuse('agent_not_found', 'Ask for an agent that GET /agents lists.');
    default:
      return { ...refuse('rate_limited', 'Try again.'), retry_after_seconds: 1 };
  }
}
