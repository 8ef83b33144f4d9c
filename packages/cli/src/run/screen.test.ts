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
