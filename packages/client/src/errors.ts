/** The server spoke: `code` is one of the protocol's error table. */
export class GatewayError extends Error {
  override readonly name: string = 'GatewayError';
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** The versions of client and server do not meet: no retry can help. Update the older side. */
export class VersionUnsupportedError extends GatewayError {
  override readonly name = 'VersionUnsupportedError';
  readonly serverMinVersion: number;
  readonly serverMaxVersion: number;

  constructor(message: string, serverMinVersion: number, serverMaxVersion: number) {
    super('version_unsupported', message);
    this.serverMinVersion = serverMinVersion;
    this.serverMaxVersion = serverMaxVersion;
  }
}

/** The connection could not be made, or is over. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
}

export function errorOf(frame: Readonly<Record<string, unknown>>): GatewayError {
  const code = typeof frame.code === 'string' ? frame.code : 'internal';
  const message = typeof frame.message === 'string' ? frame.message : code;
  if (code !== 'version_unsupported') return new GatewayError(code, message);
  return new VersionUnsupportedError(
    message,
    Number(frame.server_min_version),
    Number(frame.server_max_version),
  );
}
