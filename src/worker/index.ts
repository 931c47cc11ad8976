/** Entry `docket/worker`: for processes that run tasks. */
export type { WorkerLogger, WorkerOptions } from './options.js';
export { Worker } from './worker.js';
