/** `docket cancel`: cancels one execution. */
import { Command } from 'commander';
import { type ExecutionState, isTerminal } from '../core/states.js';
import { print, printable, printJson } from './output.js';
import { type CommonFlags, withDocket } from './session.js';

export function cancelCommand(): Command {
  return new Command('cancel')
    .description(
      'Cancels an execution: removes it, or tells it to stop when it is running. An unknown key is not an error.',
    )
    .argument('<key>', 'key of the execution')
    .option('--json', 'write JSON')
    .action((key: string, { json = false }: CommonFlags, command: Command) =>
      withDocket(command, async (docket) => {
        const before = (await docket.getExecution(key))?.state ?? null;
        await docket.cancel(key); // also an unknown key: an execution without state may be queued under it
        const after = (await docket.getExecution(key))?.state ?? null;
        const outcome = outcomeOf(before, after);
        const state = outcome === 'cancelled' ? outcome : after;
        if (json) printJson({ key, state, outcome });
        else print(`${printable(key)}  ${OUTCOME_TEXT[outcome](after)}`);
      }),
    );
}

type Outcome = 'unknown' | 'ended' | 'cancelled' | 'stopping';

const OUTCOME_TEXT = {
  unknown: () => 'unknown key; if an execution without state is queued under it, it will not start',
  ended: (state) => `had already ended: ${state}`,
  cancelled: () => 'cancelled',
  stopping: () => 'running, was told to stop',
} as const satisfies Record<Outcome, (state: ExecutionState | null) => string>;

/** Works out what a cancel did from the states before and after it. An execution without state is gone once it has ended. */
function outcomeOf(before: ExecutionState | null, after: ExecutionState | null): Outcome {
  if (before === null && after === null) return 'unknown';
  if (before !== null && isTerminal(before)) return 'ended';
  if (after !== null && isTerminal(after)) return after === 'cancelled' ? 'cancelled' : 'ended'; // or by itself, in between
  return before === 'running' || after === 'running' ? 'stopping' : 'cancelled';
}
