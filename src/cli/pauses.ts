/** `docket pause`, `docket resume` and `docket pauses`: makes, ends and lists pauses. */
import { Command } from 'commander';
import type { Docket } from '../client/docket.js';
import { pauseTermsOf } from '../client/pauses.js';
import type { Pause } from '../tasks/pause.js';
import { failureLine } from './failure.js';
import { groupCommand } from './group.js';
import { unknownTask } from './live-tasks.js';
import { print, printable, printJson, printTable, spanText } from './output.js';
import { type CommonFlags, withDocket } from './session.js';

interface ReasonFlags extends CommonFlags {
  readonly reason?: string;
}

export function pauseCommand(): Command {
  return new Command('pause')
    .description(
      'Pauses a task, or the whole docket: nothing more of it starts until it is resumed. Running executions continue.',
    )
    .argument('[task]', 'name of the task (default: the whole docket)')
    .option('--reason <text>', 'why; pauses with different reasons are ended independently (default: manual)')
    .option('--json', 'write JSON')
    .action((task: string | undefined, { reason, json }: ReasonFlags, command: Command) => {
      const terms = pauseTermsOf(task ?? null, reasonOf(reason)); // wrong usage comes before anything else
      return withDocket(command, async (docket) => {
        const warning = task === undefined ? null : await unknownTask(docket, task);
        await docket.pause(terms.task, { reason: terms.reason });
        const pauses = await pausesOf(docket, task);
        if (json) return printJson({ paused: task ?? null, pauses, warning });
        print(printable(`paused ${nameOf(task)}: ${reasonsText(pauses)}`));
        if (warning !== null) process.stderr.write(failureLine('docket', `${warning}: it is paused anyway`));
      });
    });
}

export function resumeCommand(): Command {
  return new Command('resume')
    .description('Ends the pauses of a task, or of the whole docket. The waiting executions start in their old order.')
    .argument('[task]', 'name of the task (default: the whole docket)')
    .option('--reason <text>', 'end only the pause with this reason (default: all)')
    .option('--json', 'write JSON')
    .action((task: string | undefined, { reason, json }: ReasonFlags, command: Command) =>
      withDocket(command, async (docket) => {
        const wasPaused = await docket.resume(task ?? null, reasonOf(reason));
        const remaining = await pausesOf(docket, task);
        if (json) return printJson({ resumed: wasPaused, remaining });
        const which = reason === undefined ? '' : ` with the reason '${reason}'`;
        print(
          printable(
            wasPaused ? `resumed ${nameOf(task)}` : `nothing to resume: ${nameOf(task)} was not paused${which}`,
          ),
        );
        if (remaining.length > 0) print(printable(`still paused: ${reasonsText(remaining)}`));
      }),
    );
}

export function pausesCommand(): Command {
  const list = new Command('ls')
    .description('Lists the pauses.')
    .action((_flags: object, command: Command) => showPauses(command));
  return groupCommand('pauses', 'Lists the pauses.', [list], showPauses).option('--json', 'write JSON');
}

/** Prints pauses as a table. */
export function printPauses(pauses: readonly Pause[], nowMs: number): void {
  const rows = pauses.map(({ task, reason, since }) => [
    task ?? 'the whole docket',
    reason,
    `${spanText(nowMs - since.getTime())} ago`,
  ]);
  printTable(['paused', 'reason', 'since'], rows, 'nothing is paused');
}

function showPauses(command: Command): Promise<void> {
  return withDocket(command, async (docket) => {
    const pauses = await docket.pauses();
    if (command.optsWithGlobals<CommonFlags>().json) printJson(pauses);
    else printPauses(pauses, Date.now());
  });
}

function reasonOf(reason: string | undefined): { reason?: string } {
  return reason === undefined ? {} : { reason };
}

/** Lists the pauses of a task; those of the whole docket when it is left out. */
async function pausesOf(docket: Docket, task: string | undefined): Promise<Pause[]> {
  return (await docket.pauses()).filter((pause) => pause.task === (task ?? null));
}

function nameOf(task: string | undefined): string {
  return task ?? 'the whole docket';
}

function reasonsText(pauses: readonly Pause[]): string {
  const reasons = pauses.slice(0, MAX_NAMED).map(({ reason }) => reason);
  return reasons.join(', ') + (pauses.length > MAX_NAMED ? `, and ${pauses.length - MAX_NAMED} more` : '');
}

const MAX_NAMED = 20;
