/**
 * The target on which the suites of this process run, as `npm run test:scale` chooses it: usually a server, and dockets that
 * are not divided; else dockets with four partitions, on a server or on a cluster of three masters.
 */

export type Target = 'plain' | 'partitions' | 'cluster';

const TARGETS: readonly Target[] = ['plain', 'partitions', 'cluster'];

export const TARGET = chosen(process.env.DOCKET_TEST_TARGET ?? 'plain');

/** How many partitions each docket of a fleet has. */
export const PARTITION_COUNT = TARGET === 'plain' ? 1 : 4;

function chosen(name: string): Target {
  const target = TARGETS.find((one) => one === name);
  if (target === undefined) throw new Error(`DOCKET_TEST_TARGET is one of ${TARGETS.join(', ')}, got '${name}'`);
  return target;
}
