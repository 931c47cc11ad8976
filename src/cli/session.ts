/** Opens the docket that the common flags name for the time of one command. */
import type { Command } from 'commander';
import { Docket } from '../client/docket.js';
import { internalsOf } from '../client/internals.js';
import { InvalidOptionError } from '../core/errors.js';
import { parseRedisUrl } from '../redis/url.js';
import { EXIT } from './exit-codes.js';

/** The flags that most commands have. */
export interface CommonFlags {
  readonly url?: string;
  readonly docket?: string;
  readonly json?: boolean;
}

/** Opens the docket, runs `use`, and closes it. `use` returns the exit code unless that is 0. */
export async function withDocket(command: Command, use: (docket: Docket) => Promise<number | void>): Promise<void> {
  const { url, docket: name } = command.optsWithGlobals<CommonFlags>();
  const docket = new Docket({ ...(url && { url }), ...(name && { name }) });
  try {
    refuseMemory(internalsOf(docket).settings.url);
    process.exitCode = (await use(docket)) ?? EXIT.done;
  } finally {
    await docket.close();
  }
}

/** @throws InvalidOptionError for `memory://`: only `docket worker` can use it */
function refuseMemory(url: string): void {
  if (parseRedisUrl(url).kind !== 'memory') return;
  const problem =
    'memory:// is a server inside one process, which this command cannot reach: give the URL of a Redis server';
  throw new InvalidOptionError('url', problem);
}
