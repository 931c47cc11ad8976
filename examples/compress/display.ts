/** The output of the demo: progress while it runs (a bar on a terminal, plain lines elsewhere), then a summary. */
import { performance } from 'node:perf_hooks';
import cliProgress from 'cli-progress';
import type { SpeedUp } from './speed-up.js';
import { type Compressed, workOf } from './tasks.js';
import type { FoundFile } from './walk.js';

const LINE_EVERY_MS = 2_000;
const BAR = { format: '{bar} {percentage}%  {line}', hideCursor: true, barsize: 30 };
/** The share of the work that must be done before the rest is estimated from it. */
const ESTIMABLE = 0.02;

export function describeFiles(files: readonly FoundFile[]): string {
  return `${count(files.length)} files, ${megabytes(total(files))}`;
}

export class Progress {
  readonly #total: string;
  readonly #started = performance.now();
  readonly #bar: cliProgress.SingleBar | null;
  readonly #totalWork: number;
  #files = 0;
  #bytes = 0;
  #work = 0;
  #lineAt = this.#started + LINE_EVERY_MS;

  /** The bar advances with the work, so that the time that is left can be told from it, and shows the files beside it. */
  constructor(files: readonly FoundFile[]) {
    this.#total = count(files.length);
    this.#bar = process.stdout.isTTY ? new cliProgress.SingleBar(BAR, cliProgress.Presets.shades_classic) : null;
    this.#totalWork = files.reduce((work, { bytes }) => work + workOf(bytes), 0) || 1;
    this.#bar?.start(this.#totalWork, 0, { line: this.#line() });
  }

  /** Counts a file that is done, whether it was compressed or failed. */
  done(bytes: number): void {
    this.#files++;
    this.#bytes += bytes;
    this.#work += workOf(bytes);
    if (this.#bar) this.#bar.update(this.#work, { line: this.#line() });
    else if (performance.now() >= this.#lineAt) {
      console.log(this.#line());
      this.#lineAt = performance.now() + LINE_EVERY_MS;
    }
  }

  stop(): void {
    this.#bar?.stop();
  }

  #line(): string {
    const elapsedMs = performance.now() - this.#started || 1;
    const share = this.#work / this.#totalWork;
    const left = share < ESTIMABLE ? '' : `  ${seconds((elapsedMs / share) * (1 - share))} left`;
    const speed = megabytes(this.#bytes / (elapsedMs / 1e3));
    return `${count(this.#files)}/${this.#total} files  ${megabytes(this.#bytes)}  ${speed}/s${left}`;
  }
}

export function printSummary(
  results: readonly Compressed[],
  failures: ReadonlyMap<string, string>,
  wallMs: number,
): void {
  for (const [path, problem] of failures) console.log(`failed  ${path}: ${problem}`);
  const [bytes, compressed] = [sum(results, 'bytes'), sum(results, 'compressedBytes')];
  const ratio = bytes > 0 ? ` (${((compressed / bytes) * 100).toFixed(1)} %)` : '';
  console.log(`\n${count(results.length)} files, ${count(failures.size)} failed`);
  console.log(`${megabytes(bytes)} -> ${megabytes(compressed)}${ratio}`);
  const threads = [...new Set(results.map(({ thread }) => thread))].sort((a, b) => a - b);
  const busy = sum(results, 'busyMs') / (wallMs * threads.length || 1);
  console.log(
    `${seconds(sum(results, 'busyMs'))} of work in ${seconds(wallMs)}: threads were ${Math.round(busy * 100)} % busy`,
  );
  for (const [index, thread] of threads.entries()) {
    const done = results.filter((result) => result.thread === thread);
    const busyMs = sum(done, 'busyMs');
    const share = `${Math.round((busyMs / wallMs) * 100)} % busy`;
    console.log(
      `  thread ${index + 1}: ${seconds(busyMs)}, ${share}, ${count(done.length)} files, ${megabytes(sum(done, 'bytes'))}`,
    );
  }
}

export function printSpeedUp(speedUp: SpeedUp, threads: number): void {
  const { files, bytes, oneThreadMs, allThreadsMs } = speedUp;
  console.log(`speed-up ${(oneThreadMs / allThreadsMs).toFixed(2)}x on ${threads} threads`);
  console.log(
    `  a sample of ${count(files)} files (${megabytes(bytes)}, drawn by their share of the work) took, at best of two,`,
  );
  console.log(`  ${seconds(oneThreadMs)} on one thread and ${seconds(allThreadsMs)} on ${threads}`);
}

function sum(results: readonly Compressed[], of: 'bytes' | 'compressedBytes' | 'busyMs'): number {
  return results.reduce((sum, result) => sum + result[of], 0);
}

function total(files: readonly FoundFile[]): number {
  return files.reduce((bytes, file) => bytes + file.bytes, 0);
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

function seconds(ms: number): string {
  return `${(ms / 1e3).toFixed(1)} s`;
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}
