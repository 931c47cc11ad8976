/**
 * The entry point `docket/testing`: what tests of tasks and producers need. Nothing of the package loads it, and it loads what
 * only workers need when a test docket first runs.
 */
export type { LogLine } from '../channel/protocol.js';
export type { AddedExecution } from './added.js';
export {
  assertNoTaskAdded,
  assertTaskAdded,
  assertTaskCompleted,
  assertTaskFailed,
  type ExpectedExecution,
  type ExpectedFailure,
} from './assertions.js';
export {
  type Recorded,
  type RecordingDocket,
  type RecordingDocketOptions,
  recordingDocket,
} from './recording-docket.js';
export { type Next, type RunTaskOptions, runTask, type TaskRun } from './run-task.js';
export { openTestDocket, type TestDocket, type TestDocketOptions } from './test-docket.js';
