import type { Store } from '@continuo/server/ports';

/** A store to be certified, and the world around it. */
export interface StoreFixture {
  /** A store on new, empty data. */
  open(): Promise<Store>;
  /** Another store on the same data, as another process would open it; absent where that cannot be. */
  openOther?(): Promise<Store>;
  /** Moves the time that the stores see, in ms. */
  advance(ms: number): void;
  now(): number;
  /** Closes what was opened and removes its data. */
  close(): Promise<void>;
}

/** One promise of an interface. `run` rejects when it is broken. */
export interface Case<Fixture> {
  /** The rule's id in the interface's comment. */
  readonly id: string;
  readonly title: string;
  run(fixture: Fixture): Promise<void>;
  /** Why this case cannot be run on the fixture; `null` when it can. */
  skip?(fixture: Fixture): string | null;
}

export type StoreCase = Case<StoreFixture>;

/** A fixture without a second process says so. */
export const needsOther = (fixture: StoreFixture): string | null =>
  fixture.openOther ? null : 'the store lives in one process';
