/**
 * The part of a Docket that only this package uses. The package does not export it, and it is kept beside the
 * object instead of on it, so the declared type of Docket does not show it either.
 */
import { InvalidOptionError } from '../core/errors.js';
import type { CountedPlacement } from '../core/states.js';
import type { ProgressRecord } from '../redis/record.js';
import type { CancelResult } from '../tasks/cancelling.js';
import type { ProgressChange } from '../tasks/progress.js';
import type { ProducerSettings } from './options.js';
import type { Partitions } from './partitions.js';

/** Called for each execution that a docket adds or replaces, once the server has confirmed it. */
export type PlacementWatcher = (placement: CountedPlacement, task: string) => void;

export interface DocketInternals {
  readonly settings: ProducerSettings;
  readonly partitions: Partitions;
  /** Calls `watcher` until the returned function is called. */
  watchPlacements(watcher: PlacementWatcher): () => void;
  /**
   * Changes the progress of the execution that runs under this key and token. Returns the new progress.
   * @throws ExecutionNotFoundError when there is no execution under the key
   * @throws ExecutionSupersededError when the key, or the execution, has passed to another delivery
   */
  changeOwnProgress(key: string, token: string, change: ProgressChange): Promise<ProgressRecord>;
  /**
   * Cancels the execution that runs under this key and token.
   * @throws ExecutionSupersededError when the key, or the execution, has passed to another delivery
   */
  cancelOwn(key: string, token: string): Promise<CancelResult>;
}

const INTERNALS = new WeakMap<object, DocketInternals>();

/** Makes the internals of a new Docket available to `internalsOf`. */
export function setInternals(docket: object, internals: DocketInternals): void {
  INTERNALS.set(docket, internals);
}

/**
 * Returns the internals of a Docket.
 * @throws InvalidOptionError for anything that is not a Docket made by this copy of the package
 */
export function internalsOf(docket: object): DocketInternals {
  const internals = INTERNALS.get(docket);
  if (!internals) throw new InvalidOptionError('docket', 'expected a Docket of this copy of the package: new Docket()');
  return internals;
}
