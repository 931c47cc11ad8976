/** Chromium for tests of the dashboard, without a window, without network of its own, and with an empty profile. */

import { existsSync } from 'node:fs';
import axe from 'axe-core';
import { type Browser, chromium, type Page } from 'playwright-core';

/** The path of chromium, or null where it is not installed. */
export const CHROMIUM: string | null =
  [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
    (path) => path !== undefined && path !== '' && existsSync(path),
  ) ?? null;

export const NO_CHROMIUM = 'chromium is not installed';

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
];

export async function launchBrowser(): Promise<Browser> {
  return await chromium.launch({ executablePath: CHROMIUM!, args: FLAGS });
}

/**
 * Notes what must never happen on a page: errors, and what the content security policy refused.
 * @param isRefused - whether a request to this URL fails on purpose, which the browser tells of
 */
export function notesOfProblems(page: Page, isRefused: (url: string) => boolean = () => false): string[] {
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(`error: ${error.message}`));
  page.on('console', (message) => {
    if (message.type() === 'error' && !isRefused(message.location().url)) problems.push(`console: ${message.text()}`);
  });
  page.on('dialog', (dialog) => {
    problems.push(`script ran: ${dialog.message()}`);
    void dialog.dismiss();
  });
  return problems;
}

const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

/** Returns what axe-core finds on a page, as lines of text. */
export async function accessibilityProblems(page: Page): Promise<string[]> {
  if (!(await page.evaluate('Boolean(globalThis.axe)'))) await page.evaluate(axe.source);
  return await page.evaluate<string[]>(`axe.run({ runOnly: ${JSON.stringify(RULES)} }).then(({ violations }) =>
    violations.map(({ impact, id, nodes }) => impact + ' ' + id + ': ' + nodes[0].html.slice(0, 200)))`);
}
