/** A scenario: one question about performance, with the sizes of its runs. `bench/registry.ts` lists them all. */
import type { BenchRedis } from './redis-server.js';
import type { Report } from './report.js';

/** A number that says how large a run is. It becomes an option of the command line. */
export interface Size {
  readonly full: number;
  /** With `--quick`. */
  readonly quick: number;
  readonly meaning: string;
}

export interface Scenario {
  readonly name: string;
  readonly question: string;
  readonly sizes: Readonly<Record<string, Size>>;
  /** Whether it gates a change: `--quick` without a name runs these. */
  readonly isGate: boolean;
  run(redis: BenchRedis, sizes: Readonly<Record<string, number>>): Promise<Report>;
}

/** The same, with the sizes checked against what the function takes. */
interface Definition<Sizes> {
  readonly name: string;
  readonly question: string;
  readonly sizes: { readonly [Name in keyof Sizes]: Size };
  readonly isGate?: boolean;
  readonly run: (redis: BenchRedis, sizes: Sizes) => Promise<Report>;
}

export function scenario<Sizes extends { readonly [Name in keyof Sizes]: number }>({
  isGate = false,
  ...definition
}: Definition<Sizes>): Scenario {
  return { ...definition, isGate, run: (redis, sizes) => definition.run(redis, sizes as unknown as Sizes) };
}

/** The number of rounds, which most scenarios have. */
export function rounds(full: number, quick = 1): Size {
  return { full, quick, meaning: 'rounds; each runs every contender once' };
}

/** Returns the sizes of a run: the defaults, with what was chosen instead. A choice that the scenario lacks is ignored. */
export function sizesOf(
  { sizes }: Scenario,
  { isQuick, chosen = {} }: { isQuick: boolean; chosen?: Readonly<Record<string, number | undefined>> },
): Record<string, number> {
  return Object.fromEntries(
    Object.entries(sizes).map(([name, { full, quick }]) => [name, chosen[name] ?? (isQuick ? quick : full)]),
  );
}
