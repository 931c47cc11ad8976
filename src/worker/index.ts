/** Entry `docket/worker`: what runs work. */
export type { WorkerLogger, WorkerOptions } from './options.js';
export { Worker } from './worker.js';
