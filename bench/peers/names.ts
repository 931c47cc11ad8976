/** The names under which each contender keeps its work in the bench's Redis. */

export const DOCKET = 'bench';
export const BULLMQ_QUEUE = 'bench';
export const RAW_STREAM = 'raw';
export const RAW_GROUP = 'workers';
