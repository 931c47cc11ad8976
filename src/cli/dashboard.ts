/**
 * `docket dashboard`: serves the dashboard until a signal ends it. Owns the rule that other machines need a password to reach it.
 */
import { isIP } from 'node:net';
import type { ServerType } from '@hono/node-server';
import { Command, Option } from 'commander';
import { pino } from 'pino';
import type { Docket } from '../client/docket.js';
import { InvalidOptionError, PortUnavailableError } from '../core/errors.js';
import type { DashboardHandler } from '../dashboard/index.js';
import { print } from './output.js';
import { type CommonFlags, withDocket } from './session.js';
import { wholeNumber } from './values.js';

interface DashboardFlags extends CommonFlags {
  readonly port: number;
  readonly host: string;
  readonly token?: string;
  readonly readOnly?: boolean;
  readonly showArguments?: boolean;
}

export function dashboardCommand(): Command {
  return new Command('dashboard')
    .description('Serves a web page for operating the docket, until SIGINT or SIGTERM.')
    .addOption(
      new Option('--port <n>', 'port of the page; 0 for any free port')
        .env('DOCKET_DASHBOARD_PORT')
        .default(8081)
        .argParser(wholeNumber),
    )
    .addOption(new Option('--host <address>', 'address to listen on').env('DOCKET_DASHBOARD_HOST').default('127.0.0.1'))
    .addOption(
      new Option(
        '--token <secret>',
        'password that the page asks for, at least 8 characters; required unless --host is a loopback address',
      ).env('DOCKET_DASHBOARD_TOKEN'),
    )
    .option('--read-only', 'refuse every change')
    .option('--show-arguments', 'show all arguments, not only those that tasks name in `logged`')
    .action((flags: DashboardFlags, command: Command) => {
      checkReach(flags);
      return withDocket(command, async (docket) => {
        await docket.workers(); // a server that cannot be reached is reported before a page is offered
        await serveUntilSignal(await handlerOf(docket, flags), flags);
      });
    });
}

const LOOPBACK = ['localhost', '127.0.0.1', '[::1]'] as const;

/** @throws InvalidOptionError when others could reach a page that asks for no password */
function checkReach({ host, token }: DashboardFlags): void {
  if (token !== undefined || isLoopback(host)) return;
  const problem = `other machines can reach ${host}: give a password with --token (DOCKET_DASHBOARD_TOKEN)`;
  throw new InvalidOptionError('--host', problem);
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

/** Loads the dashboard when it is served: other commands need nothing of it. */
async function handlerOf(docket: Docket, flags: DashboardFlags): Promise<DashboardHandler> {
  const { token, readOnly = false, showArguments = false, host } = flags;
  const { dashboard } = await import('../dashboard/index.js');
  return dashboard(docket, {
    ...(token !== undefined && { token }),
    ...(token === undefined && { hosts: [...LOOPBACK, host] }),
    readOnly,
    showArguments,
    logger: pino(pino.destination({ fd: 2, sync: true })),
  });
}

/** Serves until the first SIGINT or SIGTERM. Open pages do not keep it. */
async function serveUntilSignal(fetch: DashboardHandler, { port, host }: DashboardFlags): Promise<void> {
  const { serve } = await import('@hono/node-server');
  const server = await new Promise<ServerType>((resolve, reject) => {
    const started = serve({ fetch, port, hostname: host }, () => resolve(started));
    started.once('error', (error: Error) => reject(new PortUnavailableError('--port', host, port, error)));
  });
  const address = server.address();
  const shownPort = typeof address === 'object' && address !== null ? address.port : port;
  print(`the dashboard is at http://${host.includes(':') ? `[${host}]` : host}:${shownPort}/`);
  await new Promise<void>((resolve) => {
    process.once('SIGINT', () => resolve()).once('SIGTERM', () => resolve());
  });
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  if ('closeAllConnections' in server) server.closeAllConnections();
  await closed;
}
