/**
 * Logs when a worker takes no work of some of several partitions, and when it takes work of them again. Owns the rule that the log
 * says what `/readyz` says, in one line for all partitions that have changed.
 *
 * A partition is down for the log when two looks in a row find it so: a heartbeat that a busy machine delays is no outage.
 */
import { monotonicMs } from '../../core/clock.js';
import { jittered, pause, Service } from '../../core/service.js';
import type { Logger } from '../../tasks/context.js';
import type { PartitionHealth } from '../readiness.js';

/** How many partitions are named in a line. */
const MOST_NAMED = 16;

export interface PartitionLogOptions {
  /** Says of each partition that the worker reads why it takes no work of it. Empty while the worker is not meant to take any. */
  health(): readonly PartitionHealth[];
  readonly everyMs: number;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
}

/** A partition of which no work is taken. */
interface Outage {
  readonly sinceMs: number;
  isLogged: boolean;
}

export class PartitionLog extends Service {
  readonly #options: PartitionLogOptions;
  readonly #outages = new Map<string, Outage>();

  constructor(options: PartitionLogOptions) {
    super();
    this.#options = options;
  }

  protected async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await pause(jittered(this.#options.everyMs), signal);
      if (!signal.aborted) this.look();
    }
  }

  /** Compares the partitions with the last look. */
  look(): void {
    const health = this.#options.health();
    const names = new Set(health.map(({ partition }) => partition));
    for (const name of this.#outages.keys()) if (!names.has(name)) this.#outages.delete(name); // it is not read any more
    this.#logEnds(health.filter(({ reason }) => reason === null).map(({ partition }) => partition));
    this.#logBegins(health, health.length > 1);
  }

  #logEnds(up: readonly string[]): void {
    const ended = up.flatMap((partition) => {
      const outage = this.#outages.get(partition);
      this.#outages.delete(partition);
      return outage?.isLogged ? [{ partition, sinceMs: outage.sinceMs }] : [];
    });
    if (ended.length === 0) return;
    const partitions = ended.map(({ partition }) => partition);
    const seconds = ((monotonicMs() - Math.min(...ended.map(({ sinceMs }) => sinceMs))) / 1_000).toFixed(1);
    this.#options.logger.info({ partitions }, `work is taken from ${named(partitions)} again, after ${seconds} s`);
  }

  /** The lines about the links say enough where there is one partition only. */
  #logBegins(health: readonly PartitionHealth[], isLogged: boolean): void {
    const begun: PartitionHealth[] = [];
    for (const one of health) {
      if (one.reason === null) continue;
      const outage = this.#outages.get(one.partition);
      if (!outage) this.#outages.set(one.partition, { sinceMs: monotonicMs(), isLogged: false });
      else if (!outage.isLogged && isLogged) {
        outage.isLogged = true;
        begun.push(one);
      }
    }
    if (begun.length === 0) return;
    const partitions = begun.map(({ partition }) => partition);
    this.#options.logger.warn({ partitions }, `no work is taken from ${named(partitions)}: ${begun[0]!.reason}`);
  }
}

function named(partitions: readonly string[]): string {
  const more = partitions.length > MOST_NAMED ? `, and ${partitions.length - MOST_NAMED} more` : '';
  return `partition${partitions.length === 1 ? '' : 's'} ${partitions.slice(0, MOST_NAMED).join(', ')}${more}`;
}
