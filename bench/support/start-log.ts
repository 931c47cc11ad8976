/** Reads when the bodies of tasks started, as `peers/start-times.ts` notes it. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 20;
/** A wait without a new start for this long fails. */
const STUCK_MS = 30_000;

export class StartLog implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'docket-starts-'));
  readonly #path = join(this.#folder, 'starts');
  readonly #remove = () => rmSync(this.#folder, { recursive: true, force: true });

  /** Peers that are forked from now on note their starts here. */
  constructor() {
    process.once('exit', this.#remove); // also when the bench is interrupted
    writeFileSync(this.#path, '');
    process.env.BENCH_STARTS_FILE = this.#path;
  }

  /** Waits until `count` tasks from index `from` on have started. Returns the time of each, in microseconds. */
  async startsOf(from: number, count: number): Promise<number[]> {
    const started = new Map<number, number>();
    let progressMs = performance.now();
    for (;;) {
      const before = started.size;
      for (const [index, startedUs] of this.#lines()) {
        if (index >= from && index < from + count) started.set(index, startedUs);
      }
      if (started.size === count) return Array.from({ length: count }, (_, i) => started.get(from + i)!);
      if (started.size > before) progressMs = performance.now();
      if (performance.now() - progressMs > STUCK_MS) throw new Error(`${count - started.size} tasks did not start`);
      await sleep(POLL_MS);
    }
  }

  /** Lists what is wrong when each of the first `count` indexes must have started once, and no other. */
  audit(count: number): string[] {
    const starts = this.#lines().map(([index]) => index);
    const distinct = new Set(starts.filter((index) => index < count)).size;
    const problems: string[] = [];
    if (distinct !== count) problems.push(`${count - distinct} of ${count} tasks never started`);
    if (starts.length !== distinct) problems.push(`${starts.length - distinct} starts were repetitions`);
    return problems;
  }

  [Symbol.dispose](): void {
    process.removeListener('exit', this.#remove);
    this.#remove();
  }

  #lines(): [index: number, startedUs: number][] {
    const lines = readFileSync(this.#path, 'utf8').split('\n');
    return lines.slice(0, -1).map((line) => line.split(' ').map(Number) as [number, number]); // the last line is not complete
  }
}
