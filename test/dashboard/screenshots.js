/** Makes the pictures of the dashboard: `npm run screenshots`. It shows a docket that is made up, so that they stay the same. */
import { fileURLToPath } from 'node:url';
import { serve } from '@hono/node-server';
import { chromium } from 'playwright-core';
import { makeApp } from '../../dist/src/dashboard/server/app.js';
import { sampleSource } from './sample.js';

const PICTURES = [
  { file: 'dashboard-overview.png', page: '', width: 1280, height: 800, colorScheme: 'light' },
  { file: 'dashboard-failures.png', page: 'failures', width: 1280, height: 640, colorScheme: 'dark' },
  { file: 'dashboard-phone.png', page: 'execution/charge-4200', width: 390, height: 760, colorScheme: 'light' },
];

const quiet = { debug() {}, info() {}, warn: console.warn, error: console.error };
const settings = { basePath: '', token: null, isReadOnly: false, showsArguments: false, hosts: null, logger: quiet };
const server = await new Promise((resolve) => {
  const { fetch } = makeApp(sampleSource(), settings);
  const started = serve({ fetch, port: 0, hostname: '127.0.0.1' }, () => resolve(started));
});
const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const args = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking', '--no-first-run'];
const browser = await chromium.launch({ executablePath, args });
try {
  for (const { file, page: path, width, height, colorScheme } of PICTURES) {
    const page = await browser.newPage({
      viewport: { width, height },
      colorScheme,
      locale: 'en-GB',
      timezoneId: 'UTC',
    });
    await page.goto(`http://127.0.0.1:${server.address().port}/#/${path}`);
    await page.locator('.link-live').waitFor();
    await page.locator('main tbody tr, main canvas, main .timeline li').first().waitFor();
    await page.screenshot({
      path: fileURLToPath(new URL(`../../docs/images/${file}`, import.meta.url)),
      animations: 'disabled',
    });
    await page.close();
  }
} finally {
  await browser.close();
  server.closeAllConnections();
  server.close();
}
