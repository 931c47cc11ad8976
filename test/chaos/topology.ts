/** Where the servers of a run are. */
export const TOPOLOGIES = ['single', 'partitions', 'sentinel', 'cluster'] as const;

/**
 * - `single`: one server that has every write on disk
 * - `partitions`: the same, with four partitions
 * - `sentinel`: a master, two replicas, and three sentinels
 * - `cluster`: three masters with a replica each
 */
export type Topology = (typeof TOPOLOGIES)[number];

/** Where one server has everything, and clients reach it by its address: through a relay, if need be. */
export const ONE_SERVER: readonly Topology[] = ['single', 'partitions'];
