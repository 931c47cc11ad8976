/** The machine and the versions behind a result. Without them its figures mean nothing. */
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';

export type Machine = Readonly<
  Record<'cpu' | 'cores' | 'memory' | 'load' | 'node' | 'redis' | 'docket' | 'bullmq' | 'ioredis' | 'piscina', string>
>;

/** @param redis - version of the server */
export function describeMachine(redis: string): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: String(availableParallelism()),
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    load: `${loadavg()[0]!.toFixed(1)} at the start`,
    node: process.versions.node,
    redis,
    docket: version('.'),
    bullmq: version('node_modules/bullmq'),
    ioredis: version('node_modules/ioredis'),
    piscina: version('node_modules/piscina'),
  };
}

/** Reads package.json as a file, because most packages do not export it. The path is relative to dist/bench/support. */
function version(folder: string): string {
  const text = readFileSync(new URL(`../../../${folder}/package.json`, import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
