/**
 * `npm run demo [-- [--all] FOLDER]`: compresses files under a folder on all cores; by default, those of this project's
 * node_modules. Of a large folder it takes a sample, which ends within half a minute, unless it gets `--all`.
 *
 * Everything is in this process: the producer, an embedded Redis (`memory://`), and a worker whose threads do the work. With
 * a real Redis only the URL would change, and the worker could run on other machines.
 */
import { stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { Compressor, type Outcomes } from './compressor.js';
import { describeFiles, Progress, printSpeedUp, printSummary } from './display.js';
import { drawSample } from './sample.js';
import { measureSpeedUp } from './speed-up.js';
import { type Compressed, workOf } from './tasks.js';
import { walk } from './walk.js';

const NODE_MODULES = fileURLToPath(new URL('../../../node_modules', import.meta.url));

await new Command('demo')
  .description('Computes SHA-256 and brotli of the files under a folder, on all cores.')
  .argument('[folder]', 'folder to compress; nothing is written', NODE_MODULES)
  .option('--all', 'compress every file, also of a large folder; otherwise, a sample of it')
  .action(demo)
  .parseAsync();

async function demo(argument: string, { all = false }: { readonly all?: boolean }): Promise<void> {
  const folder = resolve(argument);
  const problem = await whyNotAFolder(folder);
  if (problem) return exit(1, `${folder}: ${problem}`);
  const { signal } = interruptible();
  const threads = availableParallelism();
  const failures = new Map<string, string>();
  const found = await walk(folder, (path, error) => failures.set(path, message(error)));
  if (found.length === 0 && failures.size === 0) return exit(0, `${folder}: no files`);
  const files = all ? found : drawSample(found, threads);
  console.log(`${folder}: ${describeFiles(found)}, ${threads} threads`);
  if (files.length < found.length) console.log(`a sample of it: ${describeFiles(files)}; --all takes every file`);
  files.sort((a, b) => workOf(b.bytes) - workOf(a.bytes)); // so that no thread starts a long one when the others are done
  const results: Compressed[] = [];
  const progress = new Progress(files);
  const outcomes: Outcomes = {
    onResult(result) {
      results.push(result);
      progress.done(result.bytes);
    },
    onFailure(path, problem) {
      failures.set(path, withoutPath(problem));
      progress.done(0);
    },
  };
  const start = performance.now();
  let wallMs: number;
  {
    await using compressor = new Compressor(threads);
    await compressor.run(files, outcomes, signal);
    wallMs = performance.now() - start;
    progress.stop();
  }
  printSummary(results, failures, wallMs);

  if (!signal.aborted && threads > 1) {
    console.log('\ncomparing with one thread ...');
    const speedUp = await measureSpeedUp(results, threads, signal);
    if (speedUp && !signal.aborted) printSpeedUp(speedUp, threads);
    else if (!signal.aborted) console.log('too little work to measure a speed-up');
  }
  if (signal.aborted) exit(130, 'interrupted');
}

/** The first Ctrl-C stops the work in an orderly way, the second ends the process. */
function interruptible(): AbortController {
  const controller = new AbortController();
  process.once('SIGINT', () => controller.abort());
  return controller;
}

async function whyNotAFolder(path: string): Promise<string | null> {
  try {
    return (await stat(path)).isDirectory() ? null : 'not a folder';
  } catch (error) {
    return message(error);
  }
}

function message(error: unknown): string {
  return withoutPath(error instanceof Error ? error.message : String(error));
}

/** Removes the path from Node's file errors (`EACCES: permission denied, open '/x'`): it is printed before them. */
function withoutPath(problem: string): string {
  return problem.replace(/, \w+ '.*'$/, '');
}

function exit(code: number, text: string): void {
  console.error(text);
  process.exitCode = code;
}
