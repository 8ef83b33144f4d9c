import { describe, expect, it } from 'vitest';
import { errorOf, GatewayError, VersionUnsupportedError } from './errors.ts';

describe('the error of a frame', () => {
  it('L-11 has the code and the message of the server', () => {
    const error = errorOf({ type: 'error', code: 'agent_not_found', message: 'There is no agent "x".' });
    expect(error).toBeInstanceOf(GatewayError);
    expect(error).toMatchObject({
      name: 'GatewayError',
      code: 'agent_not_found',
      message: 'There is no agent "x".',
    });
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
