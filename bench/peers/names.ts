/** The names under which each contender keeps its work in the bench's Redis. */

export const DOCKET = 'bench';
export const BULLMQ_QUEUE = 'bench';
export const RAW_STREAM = 'raw';
export const RAW_THREAD_STREAM = 'raw-thread';
/** The channel on which the results of that stream are published. */
export const RAW_RESULTS = 'raw-results';
export const RAW_GROUP = 'workers';
