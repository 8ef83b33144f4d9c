import { describe, expect, it } from 'vitest';
import {
  AgentNotFoundError,
  ApprovalConflictError,
  errorOf,
  GatewayError,
  InvalidHelloError,
  TooLargeError,
  UnauthorizedError,
  VersionUnsupportedError,
} from './errors.ts';

describe('the error of a frame', () => {
  it('L-11 has the code and the message of the server', () => {
    const error = errorOf({ type: 'error', code: 'inbox_full', message: 'Wait.' });
    expect(error).toBeInstanceOf(GatewayError);
    expect(error).toMatchObject({ name: 'GatewayError', code: 'inbox_full', message: 'Wait.' });
  });

  it.each([
    ['invalid_protocol_hello', InvalidHelloError, 'InvalidHelloError'],
    ['unauthorized', UnauthorizedError, 'UnauthorizedError'],
    ['agent_not_found', AgentNotFoundError, 'AgentNotFoundError'],
    ['too_large', TooLargeError, 'TooLargeError'],
    ['conflict', ApprovalConflictError, 'ApprovalConflictError'],
  ] as const)('L-11 has a class of its own for %s', (code, Class, name) => {
    const error = errorOf({ code, message: 'No.' });
    expect(error).toBeInstanceOf(Class);
    expect(error).toBeInstanceOf(GatewayError);
    expect(error).toMatchObject({ name, code, message: 'No.' });
  });

  it('has no class of its own for a name of the language', () => {
    expect(errorOf({ code: 'constructor', message: 'No.' })).toMatchObject({ name: 'GatewayError' });
  });

  it('G-4 says which versions the server speaks', () => {
    const error = errorOf({
      code: 'version_unsupported',
      message: 'Update the older side.',
      server_min_version: 2,
      server_max_version: 3,
    });
    expect(error).toBeInstanceOf(VersionUnsupportedError);
    expect(error).toBeInstanceOf(GatewayError);
    expect(error).toMatchObject({
      name: 'VersionUnsupportedError',
      code: 'version_unsupported',
      serverMinVersion: 2,
      serverMaxVersion: 3,
    });
  });

  it.each([[{}], [{ code: 5, message: null }], [{ message: {} }]])(
    'is an internal one where the frame says nothing that can be read: %j',
    (frame) => {
      expect(errorOf(frame)).toMatchObject({ code: 'internal', message: 'internal' });
    },
  );
});
