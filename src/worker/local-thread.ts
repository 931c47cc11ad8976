/** `threads: 0`: runs executions in this very thread, through the same protocol. Nothing here can be ended by force. */
import { decodeChunk, type ThreadConfig } from '../core/protocol.js';
import { SlotTable } from '../core/slots.js';
import { withBuiltins } from '../tasks/builtin.js';
import { loadTasks } from '../tasks/loader.js';
import { manifestOf } from '../tasks/manifest.js';
import { Executor } from '../thread/executor.js';
import { Scope } from '../thread/scope.js';
import type { TaskSource } from './options.js';
import type { Thread, ThreadEvents } from './thread.js';

export async function startLocalThread(
  config: ThreadConfig,
  source: TaskSource,
  events: ThreadEvents,
): Promise<Thread> {
  const tasks = source.kind === 'values' ? withBuiltins(source.tasks) : (await loadTasks(source.references)).tasks;
  const scope = new Scope(config, new SlotTable(config.slots), events.onLog);
  const executor = new Executor({
    tasks,
    scope,
    concurrency: config.concurrency,
    maxResultBytes: config.docket.maxPayloadBytes,
    report: events.onOutcomes,
  });
  let exit = () => {};
  const exited = new Promise<void>((resolve) => {
    exit = resolve;
  });
  return {
    manifest: manifestOf(tasks.values()),
    run: (chunk) => executor.run(decodeChunk(chunk)),
    attend: () => executor.attend(),
    exited,
    terminate: async () => {
      await scope.close();
      exit();
    },
  };
}
