import { describe, expect, it } from 'vitest';
import { createRunWorld } from '../test/context.ts';
import { createAgent } from './agent.ts';
import { assistantFromEnvironment } from './assistant.ts';

describe('the assistant', () => {
  it('is there when the environment names a model', () => {
    expect(assistantFromEnvironment({})).toBeNull();
    expect(assistantFromEnvironment({ OPENAI_API_KEY: 'k' })).toBeNull();
    expect(assistantFromEnvironment({ CONTINUO_MODEL: 'm-1' })).toMatchObject({
      kind: 'agent',
      id: 'assistant',
      description: 'Answers with the model m-1.',
    });
  });

  it.each(['localhost:11434', 'ftp://host/v1', 'no url'])('is refused with a wrong endpoint: %s', (url) => {
    expect(() => assistantFromEnvironment({ CONTINUO_MODEL: 'm-1', OPENAI_BASE_URL: url })).toThrow(
      'OPENAI_BASE_URL must be a URL',
    );
  });

  it('an agent without any model says so when it is asked', async () => {
    const agent = createAgent({ id: 'a', name: 'A', instructions: '' }, { env: {}, now: () => 0 });
    await expect(createRunWorld().start(agent).done).rejects.toThrow('set CONTINUO_MODEL');
  });
});
