/** `threads: 0`: runs executions in the coordinator's own thread, through the same protocol. Nothing here can be ended by force. */

import { decodeChunk, type OutcomeBatch, type ThreadConfig } from '../../channel/protocol.js';
import { SlotTable } from '../../channel/slots.js';
import { deferred } from '../../core/deferred.js';
import { ThreadBootError } from '../../core/errors.js';
import { aborted, within } from '../../core/service.js';
import { withBuiltins } from '../../tasks/builtin.js';
import { type LoadedTasks, loadTasks } from '../../tasks/loader.js';
import { manifestOf } from '../../tasks/manifest.js';
import { Executor } from '../../thread/executor.js';
import { FailureHooks } from '../../thread/failure-hooks.js';
import { Scope } from '../../thread/scope.js';
import type { WorkerSettings } from '../options.js';
import { OpenChunks } from './open-chunks.js';
import type { Thread, ThreadEvents } from './thread.js';

type TaskSources = Pick<WorkerSettings, 'tasks' | 'fallback'>;

export async function startLocalThread(
  config: ThreadConfig,
  sources: TaskSources,
  events: ThreadEvents,
  signal: AbortSignal,
): Promise<Thread> {
  const loaded = await Promise.race([load(sources), aborted(signal)]);
  if (!loaded) throw new ThreadBootError('the worker was stopped while it loaded the tasks');
  const reports = { log: events.onLog, progress: events.onProgress, placements: events.onPlacements };
  const scope = new Scope(config, new SlotTable(config.slots), reports, loaded.errors);
  await scope.tracing.load();
  const { concurrency, logsAttempts } = config;
  const chunks = new OpenChunks();
  const report = (batch: OutcomeBatch, over: readonly number[]) => {
    if (!chunks.end(over, batch)) events.onOutcomes(batch);
  };
  const executor = new Executor({ loaded, scope, concurrency, logsAttempts, report });
  const failureHooks = new FailureHooks(loaded, scope);
  const exit = deferred();
  return {
    manifest: manifestOf(loaded),
    isEnforceable: false,
    run: (items, patienceMs) => chunks.open((chunk) => executor.run(chunk, decodeChunk(items), patienceMs)),
    attend: () => {
      executor.attend();
      return 0;
    },
    hasAttended: () => true,
    notifyFailure: (failure) => failureHooks.run(failure),
    exited: exit.promise,
    terminate: async (graceMs) => {
      await within(failureHooks.idle(), graceMs);
      await within(executor.dispose(), graceMs);
      await scope.close();
      exit.resolve();
    },
  };
}

/** Uses values as they are, and loads references once. */
async function load({ tasks, fallback }: TaskSources): Promise<LoadedTasks> {
  const references = tasks.kind === 'modules' ? tasks.references : [];
  const loaded = await loadTasks(references, process.cwd(), { fallback });
  return tasks.kind === 'values' ? { ...loaded, tasks: withBuiltins(tasks.tasks) } : loaded;
}
