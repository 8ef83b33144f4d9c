import { describe, expect, it } from 'vitest';
import { createScreen } from './screen.ts';

function open(isTerminal: boolean) {
  let text = '';
  let beside = '';
  let isFull = false;
  let drain = (): void => {};
  const screen = createScreen({
    isTerminal,
    out: {
      write(more) {
        text += more;
        return !isFull;
      },
      once: (_event, listener) => {
        drain = listener;
      },
    },
    aside: {
      write(more) {
        if (isTerminal) text += more;
        else beside += more;
        return true;
      },
      once: () => {},
    },
  });
  return {
    screen,
    fill: () => {
      isFull = true;
    },
    drain: () => drain(),
    get text() {
      return text;
    },
    get beside() {
      return beside;
    },
  };
}

describe('the screen of a run', () => {
  it('gives every line one of its own on a terminal', async () => {
    const world = open(true);
    await world.screen.write('hel');
    world.screen.line('  + Ada');
    world.screen.line('  - Ada');
    await world.screen.write('lo');
    world.screen.note('back');
    await world.screen.write('x');
    world.screen.close();
    world.screen.close();
    expect(world.text).toBe('hel\n  + Ada\n  - Ada\nlo\n[back]\nx\n');
  });

  it('goes on with the line of who speaks, and gives others their own', async () => {
    const world = open(true);
    const piece = (of: string, text: string) => world.screen.piece({ of, lead: `${of} | `, text });
    piece('Ada', 'I');
    piece('Ada', ' can');
    piece('Bob', 'No');
    piece('Ada', ' do');
    await world.screen.write('own');
    piece('Ada', '\n');
    piece('Ada', ' it');
    piece('Ada', '.\n');
    piece('Bob', '!');
    world.screen.line('- Bob');
    piece('Bob', 'x');
    world.screen.close();
    expect(world.text).toBe('Ada | I can\nBob | No\nAda |  do\nown\nAda |  it.\nBob | !\n- Bob\nBob | x\n');
  });

  it('does not break the words of a run for those of others in a pipe', async () => {
    const world = open(false);
    world.screen.piece({ of: 'Ada', lead: 'Ada | ', text: 'I' });
    await world.screen.write('hel');
    world.screen.piece({ of: 'Ada', lead: 'Ada | ', text: ' can' });
    await world.screen.write('lo');
    world.screen.close();
    expect([world.text, world.beside]).toEqual(['hello\n', 'Ada | I can\n']);
  });

  it('keeps the words of a run alone in a pipe', async () => {
    const world = open(false);
    await world.screen.write('hel');
    world.screen.line('  + Ada');
    await world.screen.write('lo');
    world.screen.note('back');
    world.screen.close();
    expect(world.text).toBe('hello\n');
    expect(world.beside).toBe('  + Ada\ncontinuo: back\n');
  });

  it('waits for who reads', async () => {
    const world = open(false);
    world.fill();
    let isWritten = false;
    const written = world.screen.write('hello').then(() => {
      isWritten = true;
    });
    await Promise.resolve();
    expect(isWritten).toBe(false);
    world.drain();
    await written;
    expect(isWritten).toBe(true);
  });
});
