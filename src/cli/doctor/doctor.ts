/** `docket doctor`: looks for problems that keep a docket from working, or lose its work, and says what to do. */
import { Command } from 'commander';
import type { Docket } from '../../client/docket.js';
import { internalsOf } from '../../client/internals.js';
import { RedisUnavailableError } from '../../core/errors.js';
import { describeDocket } from '../../redis/docket-settings.js';
import { isReplyError } from '../../redis/reply-errors.js';
import { EXIT } from '../exit-codes.js';
import { hasColours, print, printable, printJson, spanText } from '../output.js';
import { type CommonFlags, withDocket } from '../session.js';
import { checkDocket } from './docket-health.js';
import { type Finding, fail, type Health, ok, warn } from './finding.js';
import { checkPermissions } from './permissions.js';
import { checkClock, checkServer, isReplica, readFacts } from './server.js';

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

/** Makes all checks in order, except those that an earlier failure makes pointless. */
async function examine(docket: Docket): Promise<Finding[]> {
  const { url, keys } = internalsOf(docket).settings;
  const findings: Finding[] = [];
  try {
    const redis = await docket.redis;
    const begin = performance.now();
    await redis.ping().catch((error: unknown) => {
      if (!isReplyError(error)) throw error; // the user may not use PING, but the server answers
    });
    const answer = `${describeDocket(internalsOf(docket).settings)} answers in ${spanText(performance.now() - begin)}`;
    findings.push(ok('connection', answer));
    const facts = await readFacts(redis);
    const unread = warn(
      'server',
      'the user may not use INFO, so version, eviction and persistence are unknown',
      'allow the command: +info',
    );
    findings.push(...(facts ? checkServer(facts) : [unread]));
    if (facts && isReplica(facts)) return findings; // it refuses every write, for which all other checks would fail
    findings.push(...(await group('clock', async () => [await checkClock(redis)])));
    findings.push(...(await group('permissions', () => checkPermissions(redis, url, keys))));
    findings.push(...(await group('docket', () => checkDocket(docket, redis, keys))));
  } catch (error) {
    // Only failures on the way to the server come here; all others are findings of their checks.
    const advice =
      'make sure that Redis runs there and that --url (DOCKET_URL) has the right address, user and password';
    const isUnreached = error instanceof RedisUnavailableError;
    findings.push(
      fail('connection', (error as Error).message, isUnreached ? advice : 'the error is the reply of the server'),
    );
  }
  return findings;
}

/** Makes a group of checks. A command that the server refuses is a finding, and the checks of other groups go on. */
async function group(check: string, checks: () => Promise<readonly Finding[]>): Promise<readonly Finding[]> {
  try {
    return await checks();
  } catch (error) {
    if (!isReplyError(error)) throw error;
    return [fail(check, error.message, 'the error is the reply of the server')];
  }
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
