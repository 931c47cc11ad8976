/**
 * `npm run example [-- PATTERN]`: runs one of the patterns in this folder, or lists them.
 *
 * Each pattern is a module with its tasks and a `demonstrate` that uses them. The worker's threads load the same module. By
 * default everything is in this process, with an embedded Redis; with `DOCKET_URL` the same runs on a real one.
 */
import { readdir } from 'node:fs/promises';
import { type AnyTask, Docket } from 'docket';
import { Worker } from 'docket/worker';

/** What a pattern exports. */
interface Pattern {
  /** One line about it. */
  readonly about: string;
  readonly tasks: readonly AnyTask[];
  /** How many executions run at once. @default 4 */
  readonly concurrency?: number;
  demonstrate(docket: Docket): Promise<void>;
}

const names = (await readdir(new URL('.', import.meta.url)))
  .filter((file) => file.endsWith('.js') && file !== 'run.js')
  .map((file) => file.slice(0, -'.js'.length))
  .sort();

const load = async (name: string) => (await import(`./${name}.js`)) as Pattern;

async function run(name: string): Promise<void> {
  const { demonstrate, concurrency = 4 } = await load(name);
  const url = process.env.DOCKET_URL || 'memory://patterns';
  await using docket = new Docket({ name: `patterns-${name}`, url });
  const tasks = new URL(`./${name}.js`, import.meta.url);
  await using worker = new Worker(docket, { tasks, threads: 2, concurrency });
  const running = worker.runForever();
  await Promise.race([demonstrate(docket), running]); // if the worker cannot start, the reason is thrown here
}

const [name, ...rest] = process.argv.slice(2);
if (name === undefined) {
  for (const each of names) console.log(`${each.padEnd(24)} ${(await load(each)).about}`);
} else if (!names.includes(name) || rest.length > 0) {
  console.error(`give one of these: ${names.join(', ')}`);
  process.exitCode = 2;
} else {
  await run(name);
}
