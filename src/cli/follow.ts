/** Follows an execution to its end, by push alone. */
import { ExecutionSupersededError } from '../core/errors.js';
import { isTerminal } from '../core/states.js';
import type { Execution } from '../tasks/execution.js';
import { EXIT, EXIT_OF_STATE } from './exit-codes.js';
import { viewFor } from './watch-view.js';

/**
 * Shows every change of an execution, and answers with the exit code that says how it ended. A signal ends the watch, not
 * the execution; a second one ends the process at once.
 * @throws ExecutionSupersededError when a newer execution took its key
 * @throws ExecutionNotFoundError when nothing is known of it any more
 */
export async function follow(execution: Execution<unknown>, isJson: boolean): Promise<number> {
  const events = execution.subscribe()[Symbol.asyncIterator]();
  let interruption: number | null = null;
  let ending: number | null = null;
  const onSignal = (signal: NodeJS.Signals) => {
    interruption = signal === 'SIGINT' ? EXIT.interrupted : EXIT.terminated;
    void events.return?.();
  };
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  const view = viewFor(execution.key, execution.task, isJson);
  try {
    for (let next = await events.next(); !next.done; next = await events.next()) {
      const event = next.value;
      view.tell(event);
      if (event.type === 'state' && isTerminal(event.state)) ending = EXIT_OF_STATE[event.state];
    }
  } finally {
    view.close();
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
  const code = ending ?? interruption;
  if (code === null) throw new ExecutionSupersededError(execution.key);
  return code;
}
