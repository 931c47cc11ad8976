/** `docket cancel`: cancels one execution. */
import { Command } from 'commander';
import { type ExecutionState, isTerminal } from '../core/states.js';
import { print, printable, printJson } from './output.js';
import { type CommonFlags, withDocket } from './session.js';

export function cancelCommand(): Command {
  return new Command('cancel')
    .description('Cancels an execution: removes what has not started, tells what runs to stop. Unknown keys are fine.')
    .argument('<key>', 'key of the execution')
    .option('--json', 'write JSON')
    .action((key: string, { json = false }: CommonFlags, command: Command) =>
      withDocket(command, async (docket) => {
        const before = (await docket.getExecution(key))?.state ?? null;
        await docket.cancel(key); // also of a key that nobody knows: what keeps no state is not known, and may be queued
        const after = (await docket.getExecution(key))?.state ?? null;
        const outcome = outcomeOf(before, after);
        const state = outcome === 'cancelled' ? outcome : after;
        if (json) printJson({ key, state, outcome });
        else print(`${printable(key)}  ${WORDS[outcome](after)}`);
      }),
    );
}

type Outcome = 'unknown' | 'ended' | 'cancelled' | 'stopping';

const WORDS = {
  unknown: () => 'nobody knows this key; should it be of one that keeps no state, that will not start',
  ended: (state) => `had ended before: ${state}`,
  cancelled: () => 'cancelled',
  stopping: () => 'it runs, and was told to stop',
} as const satisfies Record<Outcome, (state: ExecutionState | null) => string>;

/** What became of an execution by what was known of it before and after. One that keeps no state is gone when it has ended. */
function outcomeOf(before: ExecutionState | null, after: ExecutionState | null): Outcome {
  if (before === null && after === null) return 'unknown';
  if (before !== null && isTerminal(before)) return 'ended';
  if (after !== null && isTerminal(after)) return after === 'cancelled' ? 'cancelled' : 'ended'; // by itself meanwhile
  return before === 'running' || after === 'running' ? 'stopping' : 'cancelled';
}
