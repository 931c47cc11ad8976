/** The options of the dashboard, and their defaults. */
import { pino } from 'pino';
import { InvalidOptionError } from '../../core/errors.js';
import { checkOptionNames, optionNames } from '../../core/options.js';
import type { Logger } from '../../tasks/context.js';

/** Options of `dashboard()`. */
export interface DashboardOptions {
  /**
   * Path under which the handler is mounted, such as `/ops/docket`, unless the server has removed it from the requests.
   * @default '' (paths begin at the dashboard)
   */
  basePath?: string;
  /**
   * Secret that every request must have, of at least 8 characters: as the password of basic authentication, with any user name,
   * for which browsers ask; or as a bearer token.
   * @default none: everyone who can reach the handler can use it
   */
  token?: string | undefined;
  /**
   * Refuses every change.
   * @default false
   */
  readOnly?: boolean;
  /**
   * Shows all arguments. Without it, only those that the task names in `logged` are shown, because arguments may be private.
   * @default false
   */
  showArguments?: boolean;
  /**
   * Host names to which the page answers, without ports. Set them for a page without a token that only this machine can reach:
   * otherwise a web site that is open in a browser here can let a name of its own lead to this page.
   * @default any
   */
  hosts?: readonly string[] | undefined;
  /**
   * Takes the log lines: one for each change, with what was done and by whom, and problems.
   * @default JSON lines on stderr
   */
  logger?: Logger;
}

export interface DashboardSettings {
  /** Begins with a slash and ends without one; empty for none. */
  readonly basePath: string;
  readonly token: string | null;
  readonly isReadOnly: boolean;
  readonly showsArguments: boolean;
  /** In lower case; `null` for any. */
  readonly hosts: ReadonlySet<string> | null;
  readonly logger: Logger;
}

const OPTION_NAMES = optionNames<DashboardOptions>({
  basePath: true,
  token: true,
  readOnly: true,
  showArguments: true,
  hosts: true,
  logger: true,
});

const SHORTEST_TOKEN = 8;

/** @throws InvalidOptionError naming the option that cannot be used */
export function resolveDashboardOptions(options: DashboardOptions): DashboardSettings {
  checkOptionNames(options, OPTION_NAMES, '');
  const { basePath = '', token, readOnly = false, showArguments = false, hosts, logger } = options;
  if (token !== undefined && (typeof token !== 'string' || token.length < SHORTEST_TOKEN)) {
    throw new InvalidOptionError('token', `expected text of at least ${SHORTEST_TOKEN} characters`);
  }
  return {
    basePath: checkedPath(basePath),
    token: token ?? null,
    isReadOnly: readOnly,
    showsArguments: showArguments,
    hosts: hosts ? new Set(hosts.map((host) => host.toLowerCase())) : null,
    logger: logger ?? pino(pino.destination({ fd: 2, sync: true })),
  };
}

function checkedPath(path: unknown): string {
  if (typeof path === 'string' && /^(?:\/[\w.~-]+)*\/?$/.test(path)) return path.replace(/\/$/, '');
  throw new InvalidOptionError('basePath', `expected a path such as '/ops/docket', got ${JSON.stringify(path)}`);
}
