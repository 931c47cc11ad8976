/** The dashboard in an incident: what it names, where it leads, and what it says while Redis or its own server is away. */
import type { Docket } from 'docket';
import { dashboard } from 'docket/dashboard';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { accessibilityProblems, CHROMIUM, launchBrowser, NO_CHROMIUM } from '../support/browser.js';
import { type Served, serveHandler } from '../support/dashboard.js';
import { type Assembled, assembleFleet, fixture } from '../support/fleet.js';
import { recordingLogger } from '../support/logger.js';
import type { RestartableRedis } from '../support/servers.js';
import { describeOnOwnRedis } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

if (CHROMIUM === null)
  describe.skip(`the dashboard in an incident [left out: ${NO_CHROMIUM}]`, () => test('is shown', () => {}));
else describeOnOwnRedis('the dashboard in an incident', suite);

function suite(redis: () => RestartableRedis): void {
  let assembled: Assembled;
  let browser: Browser;
  let served: Served;
  let page: Page;

  beforeAll(async () => {
    assembled = await assembleFleet(redis().url, {}, { mayLeaveWork: true });
    browser = await launchBrowser();
    const { logger } = recordingLogger('info');
    served = await serveHandler(dashboard(assembled.fleet.docket as Docket, { logger }));
    page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
    page.setDefaultTimeout(20_000);
  });
  afterAll(async () => {
    await browser?.close();
    await served?.close();
    assembled.fleet.leavesWork();
    await assembled.close();
  });

  async function open(path: string): Promise<void> {
    await page.goto(`${served.url}#/${path}`);
    await page.locator('main h1').first().waitFor();
  }

  const row = (text: string) => page.locator('tbody tr', { hasText: text });

  test('whose work fills the queue is counted, found and struck', async () => {
    const { docket } = assembled.fleet;
    await assembled.fleet.worker({ threads: 1, tasks: fixture('dashboard.js') });
    const orders = ['o-7', 'o-7', 'o-7', 'o-1'];
    for (const orderId of orders) await docket.add('charge', { orderId, card: '4242' }, { when: '1h' });
    await open('executions/count');
    await row('charge').getByText('4', { exact: true }).waitFor();
    await page.getByLabel('Count by the argument').fill('card');
    await page.getByRole('button', { name: 'Count', exact: true }).click();
    await row('1 value, not shown').waitFor();
    await page.getByLabel('Count by the argument').fill('orderId');
    await page.getByRole('button', { name: 'Count', exact: true }).click();
    await row('o-7').getByText('3', { exact: true }).waitFor();
    expect(await accessibilityProblems(page)).toEqual([]);
    await row('o-7').getByRole('button', { name: 'Strike charge where orderId == o-7' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('Strike charge where orderId == o-7?').waitFor();
    await dialog.getByRole('button', { name: 'Strike' }).click();
    await waitFor(async () => (await docket.strikes()).length === 1);
    expect((await docket.strikes())[0]!.description).toBe("task 'charge' with orderId == 'o-7'");
    await row('o-7').getByRole('link', { name: 'o-7' }).click();
    await waitFor(async () => (await page.locator('tbody tr').count()) === 3);
  });

  test('what the doctor finds leads to the page on which it is dealt with, and what is paused is counted', async () => {
    const { docket } = assembled.fleet;
    await docket.pause('charge', { reason: 'a bad deploy' });
    await docket.add('charge', { orderId: 'o-2' });
    await waitFor(async () => (await docket.snapshot({ limit: 0 })).totals.paused === 1);
    await open('');
    await page.locator('.tile', { hasText: 'Paused' }).filter({ hasText: '1' }).waitFor();
    await page.locator('.findings').getByRole('link', { name: 'pauses' }).click();
    await page.getByRole('heading', { name: 'Tasks' }).waitFor();
    expect(page.url()).toMatch(/#\/tasks$/);
    await docket.resume('charge');
  });

  test('an outage is told once, with the age of what is shown, and is over by itself', async () => {
    await open('failures');
    await page.locator('.link-live').waitFor();
    await redis().kill();
    const banner = page.getByRole('alert').filter({ hasText: 'cannot be reached: the link is down. Workers keep' });
    await banner.filter({ hasText: /What is shown is from .+ It goes on by itself\./ }).waitFor();
    await page.goto(`${served.url}#/`);
    await page.getByRole('heading', { name: 'Overview' }).waitFor();
    await banner.waitFor();
    expect(await page.locator('.callout.fail:visible').count()).toBe(1);
    await redis().start();
    await page.locator('.link-live').waitFor();
    await banner.waitFor({ state: 'detached' });
    await expect.poll(() => page.locator('.callout.fail:visible').count(), { timeout: 20_000 }).toBe(0);
  });

  test('a page whose server is gone says that it is', async () => {
    await open('');
    await page.locator('.link-live').waitFor();
    await served.close();
    const banner = page.getByRole('alert').filter({ hasText: 'The server of this page does not answer.' });
    await banner.waitFor();
    expect(await banner.innerText()).toMatch(/What is shown is from .+ It goes on by itself\.$/);
  });
}
