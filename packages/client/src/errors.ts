type Frame = Readonly<Record<string, unknown>>;

/** The server spoke: `code` is one of the protocol's error table. */
export class GatewayError extends Error {
  override readonly name: string = 'GatewayError';
  readonly code: string;
  /** The whole error frame. */
  readonly details: Frame;

  constructor(code: string, message: string, details: Frame = {}) {
    super(message);
    this.code = code;
    this.details = details;
  }
}

/** The versions of client and server do not meet: no retry can help. Update the older side. */
export class VersionUnsupportedError extends GatewayError {
  override readonly name = 'VersionUnsupportedError';

  get serverMinVersion(): number {
    return Number(this.details.server_min_version);
  }

  get serverMaxVersion(): number {
    return Number(this.details.server_max_version);
  }
}

/** The server does not understand the versions that were asked for. */
export class InvalidHelloError extends GatewayError {
  override readonly name = 'InvalidHelloError';
}

/** The token is missing, wrong or too old, and the provider had no better one. */
export class UnauthorizedError extends GatewayError {
  override readonly name = 'UnauthorizedError';
}

/** There is no agent, team or workflow of that id. `GET /agents` lists what there is. */
export class AgentNotFoundError extends GatewayError {
  override readonly name = 'AgentNotFoundError';
}

/** The frame is larger than the server takes: it was not sent, or not read. */
export class TooLargeError extends GatewayError {
  override readonly name = 'TooLargeError';
}

/** An answer to an approval, as the server keeps it. */
export interface ApprovalAnswer {
  readonly approvalId: string;
  readonly approved: boolean;
  readonly note?: string;
  /** The client or person whose answer it was. */
  readonly by: string;
}

/** The approval has another answer already. `answer` is the one that counts. */
export class ApprovalConflictError extends GatewayError {
  override readonly name = 'ApprovalConflictError';

  get answer(): ApprovalAnswer {
    return answerOf(this.details);
  }
}

/** The connection could not be made, or is over. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
}

/** What was waited for did not come in time. */
export class TimeoutError extends Error {
  override readonly name = 'TimeoutError';
}

const CLASSES: Readonly<Record<string, typeof GatewayError | null>> = {
  __proto__: null,
  version_unsupported: VersionUnsupportedError,
  invalid_protocol_hello: InvalidHelloError,
  unauthorized: UnauthorizedError,
  agent_not_found: AgentNotFoundError,
  too_large: TooLargeError,
  conflict: ApprovalConflictError,
};

export function errorOf(frame: Frame): GatewayError {
  const code = typeof frame.code === 'string' ? frame.code : 'internal';
  const message = typeof frame.message === 'string' ? frame.message : code;
  return new (CLASSES[code] ?? GatewayError)(code, message, frame);
}

/** The error of an end. Servers name the code of their error table when they close. */
export function endOf(reason: string | Error): Error {
  if (typeof reason !== 'string') return reason;
  if (!/^[a-z_]+$/.test(reason)) return new ConnectionError(reason);
  return errorOf({ code: reason, message: `The connection was closed (${reason}).` });
}

export function answerOf({ approval_id, approved, note, by }: Frame): ApprovalAnswer {
  return {
    approvalId: String(approval_id),
    approved: approved === true,
    ...(typeof note === 'string' && { note }),
    by: String(by),
  };
}
