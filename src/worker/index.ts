/** Entry `docket/worker`: what runs work. */
export type { WorkerOptions } from './options.js';
export { Worker } from './worker.js';
