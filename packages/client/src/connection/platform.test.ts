import { afterEach, describe, expect, it, vi } from 'vitest';
import { systemPlatform } from './platform.ts';

/** What a browser's window does for us. */
function openWindow(): { window: EventTarget; page: { hidden: boolean } } {
  const window = new EventTarget();
  const page = { hidden: false };
  vi.stubGlobal('addEventListener', window.addEventListener.bind(window));
  vi.stubGlobal('removeEventListener', window.removeEventListener.bind(window));
  vi.stubGlobal('document', page);
  return { window, page };
}

afterEach(() => vi.unstubAllGlobals());

describe('the wakes of the system', () => {
  it.each([
    ['online', true],
    ['offline', false],
    ['pageshow', true],
    ['visibilitychange', true],
  ])('are told for %s, with whether there is a network: %s', (type, isOnline) => {
    const { window } = openWindow();
    const told: boolean[] = [];
    const stop = systemPlatform.onWake((each) => told.push(each));
    window.dispatchEvent(new Event(type));
    expect(told).toEqual([isOnline]);
    stop();
    window.dispatchEvent(new Event(type));
    expect(told).toHaveLength(1);
  });

  it('are not told while the page is hidden', () => {
    const { window, page } = openWindow();
    page.hidden = true;
    const told: boolean[] = [];
    systemPlatform.onWake((each) => told.push(each));
    window.dispatchEvent(new Event('visibilitychange'));
    expect(told).toEqual([]);
  });

  it('are none where there is no window', () => {
    vi.stubGlobal('addEventListener', undefined);
    vi.stubGlobal('removeEventListener', undefined);
    expect(() => systemPlatform.onWake(() => {})()).not.toThrow();
  });
});
