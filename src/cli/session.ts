/** The docket a command works on, as the common flags name it. */
import type { Command } from 'commander';
import { Docket } from '../client/docket.js';
import { internalsOf } from '../client/internals.js';
import { parseRedisUrl } from '../redis/url.js';
import { EXIT } from './exit-codes.js';
import { CommandError } from './failure.js';

/** Flags that most commands have. */
export interface CommonFlags {
  readonly url?: string;
  readonly docket?: string;
  readonly json?: boolean;
}

/** Opens the docket for as long as `use` needs it; `use` answers with the exit code when it is not 0. */
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

function refuseMemory(url: string): void {
  if (parseRedisUrl(url).kind !== 'memory') return;
  const problem = 'memory:// is a server inside one process, which no other process can see: use it with docket worker';
  throw new CommandError(`url: ${problem}, and here the URL of a Redis`, EXIT.usage);
}
