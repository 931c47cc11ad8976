/** `docket doctor`: looks for problems that keep a docket from working, or lose its work, and says what to do. */
import { Command } from 'commander';
import { examine } from '../doctor/examine.js';
import type { Finding, Health } from '../doctor/finding.js';
import { EXIT } from './exit-codes.js';
import { hasColours, print, printable, printJson } from './output.js';
import { type CommonFlags, withDocket } from './session.js';

export function doctorCommand(): Command {
  return new Command('doctor')
    .description(
      'Checks the connection, the server, the permissions and the docket itself. Exits with 1 when a check fails.',
    )
    .option('--json', 'write JSON')
    .action(({ json = false }: CommonFlags, command: Command) =>
      withDocket(command, async (docket) => {
        const findings = await examine(docket);
        const status = worstOf(findings);
        if (json) printJson({ status, checks: findings });
        else for (const finding of findings) print(lineOf(finding));
        return status === 'fail' ? EXIT.failed : EXIT.done;
      }),
    );
}

function worstOf(findings: readonly Finding[]): Health {
  return (['fail', 'warn'] as const).find((health) => findings.some(({ status }) => status === health)) ?? 'ok';
}

const COLOURS = { ok: 32, warn: 33, fail: 31 } as const satisfies Record<Health, number>;

/** Formats a finding as one line. */
function lineOf({ check, status, detail, advice }: Finding): string {
  const label = status.padEnd(4);
  const shown = hasColours(process.stdout) ? `\u001b[${COLOURS[status]}m${label}\u001b[0m` : label;
  return `${shown}  ${check.padEnd(20)} ${printable(detail)}${advice === null ? '' : ` -> ${printable(advice)}`}`;
}
