/**
 * The partitions of a docket, as a producer knows them. The producer starts with partition 0 alone, and loads the
 * layout when it needs it: with the strikes, after an add was refused, and with every operation on the whole docket. So
 * a docket with one partition never waits for its layout, and adds send nothing for it.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { monotonicMs } from '../core/clock.js';
import { RedisUnavailableError } from '../core/errors.js';
import { describeDocket } from '../redis/docket-settings.js';
import { keysOf } from '../redis/keys.js';
import { FIRST_LAYOUT, isLayoutChanging, type Layout, loadLayout } from '../redis/layout-store.js';
import { loadStrikes, type StrikeSnapshot } from '../redis/strike-store.js';
import { isClusterUrl } from '../redis/url.js';
import type { CancelResult } from '../tasks/cancelling.js';
import { ProducerConnection } from './connection.js';
import type { FoundExecution } from './execution-source.js';
import { LayoutChanged } from './layout-changed.js';
import { bestOf } from './merging.js';
import type { ProducerSettings } from './options.js';
import { Partition } from './partition.js';
import { Routes } from './routes.js';
import { Writer } from './writer.js';

/** How long an add waits for a change of the partitions. Its marks last for seconds only, unless it goes on. */
const LONGEST_CHANGE_MS = 20_000;
/** The shortest pause between two looks at a change. */
const LOOK_AGAIN_MS = 20;

/** An execution, and the partition that has its record. */
export interface FoundRecord extends FoundExecution {
  readonly partition: Partition;
}

export interface PartitionsOptions {
  readonly settings: ProducerSettings;
  /** Aborts when the docket is closed. */
  readonly closed: AbortSignal;
  /** Cancels an execution of the docket. */
  readonly cancel: (key: string) => Promise<CancelResult>;
}

export class Partitions {
  /** Partition 0, which every docket has. */
  readonly first: Partition;
  readonly #options: PartitionsOptions;
  /** Whether partitions can be on different servers, so that each needs a connection of its own. */
  readonly #isSpread: boolean;
  readonly #byTag = new Map<string, Partition>();
  #routes: Routes;
  /** The partitions of the layout, followed by those that are drained. */
  #all: readonly Partition[];
  /** Writers of former layouts that still have calls. */
  readonly #former = new Set<Writer>();

  constructor(options: PartitionsOptions) {
    this.#options = options;
    this.#isSpread = isClusterUrl(options.settings.url);
    this.first = this.#partition('');
    this.#all = [this.first];
    this.#routes = this.#routesBy(FIRST_LAYOUT);
  }

  /** Where calls go by the layout that is known. */
  get routes(): Routes {
    return this.#routes;
  }

  /** The partitions of the layout, followed by those that are drained. */
  get known(): readonly Partition[] {
    return this.#all;
  }

  /** Returns the known partition with this tag, if there is one. */
  find(tag: string): Partition | undefined {
    return this.#all.find((partition) => partition.tag === tag);
  }

  /** Returns a partition for any tag, even for one that the layout does not have. */
  at(tag: string): Partition {
    return this.#partition(tag);
  }

  /**
   * Reads the layout. Returns the partitions that the docket has, and those that are drained.
   * @throws RedisUnavailableError when the server of partition 0 cannot be reached
   */
  async load(): Promise<readonly Partition[]> {
    this.#adopt(await this.first.run(loadLayout));
    return this.#all;
  }

  /**
   * Does something in every partition, at once, and returns the results in their order. Where it takes one command, a docket
   * whose layout has not changed needs one round trip.
   * @throws the first error; the others go on
   */
  async everywhere<T>(work: (partition: Partition) => Promise<T>): Promise<T[]> {
    const asked = this.#all;
    const [results] = await Promise.all([Promise.all(asked.map(work)), this.load()]);
    return await this.#further(asked, results, work);
  }

  /**
   * Writes to a list that every partition has, such as the strikes, and returns the results. Writing twice must change nothing.
   *
   * A change of the partitions copies the list of partition 0 while its mark is there. So that list is written first. If there is
   * no mark afterwards, the copy has what was written. If there is one, this waits until the change is over, and writes to all
   * partitions once more.
   * @throws RedisUnavailableError when a partition cannot be reached, or is being changed for too long
   */
  async writeEverywhere<T>(write: (partition: Partition) => Promise<T>): Promise<T[]> {
    const asked = this.#all;
    const results = [await write(this.first)];
    results.push(...(await Promise.all(asked.filter((one) => one !== this.first).map(write))));
    const hasWaited = await this.#afterChange();
    await this.load();
    if (!hasWaited) return await this.#further(asked, results, write);
    return [...results, ...(await Promise.all(this.#all.map(write)))];
  }

  /**
   * Looks for one thing that may be in any partition. A partition that cannot be reached only matters when no other one has it.
   * @throws RedisUnavailableError when it was not found, and a partition could not be asked
   */
  async search<T>(look: (partition: Partition) => Promise<T>, isFound: (result: T) => boolean): Promise<T[]> {
    const settled = await this.everywhere((partition) =>
      look(partition).then(
        (value) => ({ value }),
        (error: unknown) => {
          if (!(error instanceof RedisUnavailableError)) throw error;
          return { error };
        },
      ),
    );
    const results = settled.flatMap((one) => ('value' in one ? [one.value] : []));
    const failed = settled.find((one) => 'error' in one);
    if (failed && !results.some(isFound)) throw failed.error;
    return results;
  }

  /**
   * Reads the record of an execution in whichever partition it is; `null` when no partition has one. If several have one under the
   * key, the newest is read.
   * @throws RedisUnavailableError when it was not found, and a partition could not be asked
   */
  async findRecord(key: string): Promise<FoundRecord | null> {
    const found = await this.search(
      async (partition) => {
        const record = await partition.source.readHere(key);
        return record && { record, partition, source: partition.source };
      },
      (one) => one !== null,
    );
    return bestOf(found, ({ record }) => record);
  }

  /** Resolves when every call that was added is written, or has failed. */
  async idle(): Promise<void> {
    const isIdle = () => this.#former.size === 0 && this.#routes.destinations.every(({ writer }) => writer.isIdle);
    do {
      await Promise.all(
        [...this.#former, ...this.#routes.destinations.map(({ writer }) => writer)].map((one) => one.idle()),
      );
      await new Promise((resolve) => setImmediate(resolve)); // calls that are routed again are added in this turn of the event loop
    } while (!isIdle());
  }

  /** Closes all connections. */
  async close(): Promise<void> {
    const partitions = [...this.#byTag.values()];
    await Promise.all(partitions.map(({ listener }) => listener.close()));
    await Promise.all([...new Set(partitions.map(({ connection }) => connection))].map((one) => one.close()));
  }

  async #further<T>(
    asked: readonly Partition[],
    results: readonly T[],
    work: (partition: Partition) => Promise<T>,
  ): Promise<T[]> {
    const further = this.#all.filter((partition) => !asked.includes(partition));
    return further.length === 0 ? [...results] : [...results, ...(await Promise.all(further.map(work)))];
  }

  #adopt(layout: Layout): void {
    const known = this.#routes.layout.version;
    if (layout.version === known || (layout.version !== '' && Number(layout.version) < Number(known))) return;
    for (const { writer } of this.#routes.destinations) {
      this.#former.add(writer);
      writer.idle().then(() => this.#former.delete(writer));
    }
    this.#routes = this.#routesBy(layout);
    const drained = layout.draining.filter((tag) => !layout.tags.includes(tag));
    this.#all = [
      ...this.#routes.destinations.map(({ partition }) => partition),
      ...drained.map((tag) => this.#partition(tag)),
    ];
  }

  #routesBy(layout: Layout): Routes {
    const destinations = layout.tags.map((tag) => {
      const partition = this.#partition(tag);
      const { settings, connection } = partition;
      const writer = new Writer({ settings, connection, loadStrikes: () => this.#strikesFor(partition, layout) });
      return { partition, writer };
    });
    return new Routes(layout, destinations);
  }

  /** Returns the partition with this tag. It stays when the layout changes. */
  #partition(tag: string): Partition {
    const known = this.#byTag.get(tag);
    if (known) return known;
    const { closed, cancel } = this.#options;
    const settings = this.#settingsOf(tag);
    const partition = new Partition({
      tag,
      settings,
      connection: tag === '' || this.#isSpread ? new ProducerConnection(settings, closed) : this.first.connection,
      closed,
      cancel,
      findElsewhere: (key) => this.findRecord(key),
      loadStrikes: (of) => this.#strikesUnchanging(of),
    });
    this.#byTag.set(tag, partition);
    return partition;
  }

  #settingsOf(tag: string): ProducerSettings {
    const { settings } = this.#options;
    if (tag === '') {
      const isDivided = () => this.#all.length > 1;
      return {
        ...settings,
        get partition() {
          return isDivided() ? '0' : undefined;
        },
      };
    }
    return { ...settings, keys: keysOf(settings.name, { db: settings.keys.db, tag }), partition: tag };
  }

  /**
   * Reads the strikes for a writer of this layout.
   * @throws LayoutChanged when another layout is in force
   */
  async #strikesFor(partition: Partition, layout: Layout): Promise<StrikeSnapshot> {
    const strikes = await this.#strikesUnchanging(partition);
    if (partition.connection !== this.first.connection) await this.load();
    if (this.#routes.layout !== layout) throw new LayoutChanged();
    return strikes;
  }

  /**
   * Reads the strikes of a partition at a time when the layout does not change. The mark is read after the strikes: if
   * it was set in between, the version of the strikes is outdated, so adds with it are refused. The layout is read
   * last, in the same round trip if it is on the same server: an extra round trip would give the strikes more time to
   * change.
   */
  async #strikesUnchanging(partition: Partition): Promise<StrikeSnapshot> {
    const untilMs = monotonicMs() + LONGEST_CHANGE_MS;
    for (;;) {
      const { first } = this;
      const isSame = partition.connection === first.connection;
      const [strikes, isChanging, layout] = await partition.run((redis, keys) =>
        Promise.all([
          loadStrikes(redis, keys),
          isLayoutChanging(redis, keys),
          isSame ? loadLayout(redis, first.settings.keys) : null,
        ]),
      );
      if (layout && !isChanging) this.#adopt(layout);
      if (!isChanging) return strikes;
      await waitForChange(partition, untilMs, 'takes no adds');
    }
  }

  /** Waits until no change is under way. Returns whether there was one. */
  async #afterChange(): Promise<boolean> {
    const untilMs = monotonicMs() + LONGEST_CHANGE_MS;
    for (let hasWaited = false; ; hasWaited = true) {
      if (!(await this.first.run(isLayoutChanging))) return hasWaited;
      await waitForChange(this.first, untilMs, 'may not have this in all its partitions, so do it again');
    }
  }
}

/**
 * Waits before the next look at a change.
 * @param consequence - for the error: what this means for the caller
 * @throws RedisUnavailableError when the change has taken too long
 */
async function waitForChange({ settings }: Partition, untilMs: number, consequence: string): Promise<void> {
  if (monotonicMs() > untilMs) {
    const problem = 'its partitions are being changed, for longer than usual';
    throw new RedisUnavailableError(`${describeDocket(settings)} ${consequence}: ${problem}`);
  }
  await delay(LOOK_AGAIN_MS * (1 + 2 * Math.random()));
}
