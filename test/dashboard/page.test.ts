/** The dashboard as a person meets it: in a real browser, on a real fleet. */
import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { call, cron, Docket } from 'docket';
import { type DashboardOptions, dashboard } from 'docket/dashboard';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { accessibilityProblems, CHROMIUM, launchBrowser, NO_CHROMIUM, notesOfProblems } from '../support/browser.js';
import { type Served, serveHandler } from '../support/dashboard.js';
import { type Assembled, assembleFleet, fixture } from '../support/fleet.js';
import { recordingLogger } from '../support/logger.js';
import { startRestartableRedis } from '../support/servers.js';
import { describeOnRedis } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const MARKUP = `<script>alert(1)</script><img src=x onerror="alert(2)">&quot;'`;

if (CHROMIUM === null)
  describe.skip(`the dashboard in a browser [left out: ${NO_CHROMIUM}]`, () => test('is shown', () => {}));
else describeOnRedis('the dashboard in a browser', suite);

function suite(url: () => string): void {
  let assembled: Assembled;
  let browser: Browser;
  let served: Served;
  let page: Page;
  let problems: string[];
  /** Parts of the URLs that are refused on purpose. A page asks for them again as long as it is open. */
  const refused: string[] = [];
  const { logger, lines } = recordingLogger('info');
  const closing: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    assembled = await assembleFleet(url(), {}, { mayLeaveWork: true });
    const { fleet } = assembled;
    [browser] = await Promise.all([launchBrowser(), fleet.worker({ tasks: fixture('dashboard.js'), concurrency: 8 })]);
    await seed();
    served = await serve(fleet.docket as Docket);
    page = await browser.newPage({ viewport: { width: 1280, height: 800 }, colorScheme: 'light' });
    page.setDefaultTimeout(20_000);
    problems = notesOfProblems(page, (url) => refused.some((part) => url.includes(part)));
  });
  afterAll(async () => {
    await browser?.close();
    for (const close of closing) await close();
    assembled.fleet.leavesWork();
    await assembled.fleet.release();
    await assembled.close();
  });
  // Nothing ran that is not a file of the page, and nothing went wrong.
  afterEach(() => expect(problems).toEqual([]));

  async function serve(docket: Docket, options: DashboardOptions = {}): Promise<Served> {
    const handler = await serveHandler(dashboard(docket, { logger, ...options }), options.basePath);
    closing.push(handler.close);
    return handler;
  }

  /** Brings the fleet into a state in which every page has something to show. */
  async function seed(): Promise<void> {
    const { docket, probe } = assembled.fleet;
    const charging = { file: `${probe.file}-charge` };
    const add = (task: string, args: object, options: object) => docket.add(task, args, options);
    await add('crunch', { probe }, { key: 'crunch-1' });
    await add('crunch', { probe }, { key: MARKUP });
    await add('crawl', { probe }, { key: 'crawl-1' });
    await add('crawl', { probe }, { key: 'crawl-2' });
    await add('charge', { probe: charging, orderId: 'o-1', card: '4242' }, { key: 'charge-1' });
    await add('report', {}, { key: 'later-1', when: '1h' });
    await add('report', {}, { key: 'report-1', perpetual: cron('0 9 * * 1', { timezone: 'Europe/Berlin' }) });
    await docket.strike(null, 'customerId', '==', 'c-9');
    await waitFor(async () => {
      const { totals } = await docket.snapshot();
      return totals.running === 3 && totals.waiting === 1 && totals.failures === 1 && totals.scheduled === 2;
    });
  }

  async function open(path: string, base = served): Promise<void> {
    await page.goto(`${base.url}#/${path}`);
    await page.locator('main h1').first().waitFor();
  }

  const row = (text: string) => page.locator('tbody tr', { hasText: text });
  const notice = (text: string) => page.locator('.notice', { hasText: text }).first().waitFor();
  const stateOf = async (key: string) => (await assembled.fleet.docket.getExecution(key))?.state;

  test('the overview tells how the docket is doing', async () => {
    await open('');
    for (const [name, count] of [
      ['Running', 3],
      ['Scheduled', 2],
      ['Waiting', 1],
      ['Failures', 1],
      ['Workers', 1],
    ]) {
      await page
        .locator('.tile', { hasText: String(name) })
        .filter({ hasText: String(count) })
        .waitFor();
    }
    await page.locator('.link-live').waitFor();
    await row('crunch-1').waitFor();
    await page.locator('canvas').nth(1).waitFor();
    expect(await accessibilityProblems(page)).toEqual([]);
  });

  test('progress and new executions appear without a reload', async () => {
    await open('executions');
    await row('crunch-1').getByText('3 of 10 · encoding frames').waitFor();
    const { docket, probe } = assembled.fleet;
    const execution = await docket.getExecution('crunch-1');
    await execution!.progress.increment(4);
    await row('crunch-1').getByText('7 of 10').waitFor();
    await docket.add('crunch', { probe }, { key: 'crunch-new' });
    await row('crunch-new').waitFor();
    await docket.cancel('crunch-new');
    await row('crunch-new').waitFor({ state: 'detached' });
    expect(await accessibilityProblems(page)).toEqual([]);
  });

  test('a key full of markup is text, has a page of its own, and can be cancelled there', async () => {
    await open('executions');
    await row(MARKUP).getByRole('link', { name: MARKUP }).click();
    await page.locator('h1', { hasText: MARKUP }).waitFor();
    await page.getByText('with a worker').waitFor();
    expect(await page.locator('h1').textContent()).toContain(MARKUP);
    expect(await page.locator('main script, main img').count()).toBe(0);
    await page.getByRole('button', { name: 'Cancel' }).click();
    expect(await accessibilityProblems(page)).toEqual([]);
    await page.keyboard.press('Escape'); // the dialog keeps it as it is
    await page.locator('dialog').waitFor({ state: 'detached' });
    expect(await stateOf(MARKUP)).toBe('running');
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.getByRole('button', { name: 'Cancel it' }).click();
    await notice('It was asked to stop.');
    await page.locator('h1', { hasText: 'cancelled' }).waitFor();
    expect(await stateOf(MARKUP)).toBe('cancelled');
    expect(lines.map(({ message }) => message)).toContain('dashboard: cancel');
    expect(await accessibilityProblems(page)).toEqual([]);
  });

  test('what is scheduled is made due by a button', async () => {
    await open('executions/scheduled');
    await row('later-1').getByRole('button', { name: 'Run now' }).click();
    await notice('It is due now.');
    await row('later-1').waitFor({ state: 'detached' });
    await waitFor(async () => (await stateOf('later-1')) === 'completed');
    expect(lines.map(({ message }) => message)).toContain('dashboard: run-now');
  });

  test('what waits says for what, and an execution is found by its key and by its task', async () => {
    await open('executions/waiting');
    await row('crawl-2').getByText('limit crawl').waitFor();
    expect(await accessibilityProblems(page)).toEqual([]);
    await page.keyboard.press('/');
    await page.locator('#find-key:focus').waitFor();
    await page.keyboard.type('crawl-2');
    await page.keyboard.press('Enter');
    await page.locator('h1', { hasText: 'crawl-2' }).waitFor();
    await page.getByText('a permit of limit crawl').waitFor();
    await open('executions/find');
    await page.getByLabel('Task').fill('crawl');
    await page.getByRole('button', { name: 'Find' }).click();
    await row('crawl-1').waitFor();
    await row('crawl-2').waitFor();
    expect(await accessibilityProblems(page)).toEqual([]);
    refused.push('key=nobody');
    await open('execution/nobody');
    await page.getByText('Nothing is known of it').waitFor();
  });

  test('a search tells how far it has looked, goes on in steps, and offers to look further', async () => {
    const { docket } = assembled.fleet;
    await docket.pause('report'); // so that they stay where they are
    const many = Array.from({ length: 600 }, (_, n) => call('report', { customerId: `c-${n % 2}` }, { when: '1h' }));
    await docket.addMany(many);
    await open('executions/find?task=report&state=scheduled&q=1');
    await page.getByText('200 found; looked through 200 of').waitFor();
    await page.getByRole('button', { name: 'Look further' }).click();
    await page.getByText('400 found; looked through 400 of').waitFor();
    await page.getByLabel('Arguments').fill('customerId=c-1');
    await page.getByRole('button', { name: 'Find' }).click();
    await page.getByText(/^2\d\d found; looked through/).waitFor();
    await open('executions/find?task=report&state=scheduled&where=customerId%3Dnobody&q=1');
    await page.getByText(/^0 found; looked through all 60\d/).waitFor();
    await page.getByText('Nothing is found').waitFor();
    expect(await accessibilityProblems(page)).toEqual([]);
    for (const customerId of ['c-0', 'c-1']) await docket.cancelMany({ where: { customerId } });
    await docket.resume('report');
  });

  test('all that match are cancelled, once a person has seen how many there are', async () => {
    const { docket } = assembled.fleet;
    const many = Array.from({ length: 300 }, (_, n) => call('report', { customerId: 'c-7', n }, { when: '1h' }));
    await docket.addMany(many);
    await docket.add('report', { customerId: 'c-8' }, { key: 'of-another', when: '1h' });
    await open('executions/find?task=report&where=customerId%3Dc-7&q=1');
    await page.getByRole('button', { name: 'Cancel all that match' }).click();
    await page.locator('dialog', { hasText: 'Cancel 300 executions?' }).waitFor();
    await page.getByText('(not ended, task report, customerId=c-7)').waitFor();
    expect(await accessibilityProblems(page)).toEqual([]);
    await page.locator('dialog').getByRole('button', { name: 'Keep as it is' }).click();
    expect((await docket.snapshot()).totals.scheduled).toBeGreaterThan(300);
    await page.getByRole('button', { name: 'Cancel all that match' }).click();
    await page.locator('dialog').getByRole('button', { name: 'Cancel all' }).click();
    await notice('Cancelled 300 executions: 300 had not started.');
    expect(lines.map(({ message }) => message)).toContain('dashboard: cancel-many');
    await page.getByText('Nothing is found').waitFor();
    await page.getByRole('button', { name: 'Cancel all that match' }).waitFor({ state: 'detached' });
    expect(await docket.cancel('of-another')).toMatchObject({ outcome: 'removed' });
  });

  test('a failure is shown with its stack, and with the arguments that may be shown, and runs again', async () => {
    await open('failures');
    await page.locator('tbody tr', { hasText: 'TypeError' }).first().waitFor();
    expect(await accessibilityProblems(page)).toEqual([]);
    await page.getByRole('link', { name: 'TypeError', exact: true }).click();
    await page.locator('.chip', { hasText: 'error TypeError' }).waitFor();
    await page.getByRole('link', { name: 'charge-1' }).click();
    await page.getByText(/the bank declined o-1\s+at /).waitFor();
    await page.getByText("orderId: 'o-1'").waitFor();
    expect(await page.locator('main').textContent()).not.toContain('4242');
    await page.getByText('Not shown: ').getByText('card').waitFor();
    expect(await accessibilityProblems(page)).toEqual([]);
    writeFileSync(`${assembled.fleet.probe.file}-charge.released`, '');
    await page.getByRole('button', { name: 'Retry' }).click();

    await notice('Retried 1 failure.');
    await page.locator('h1', { hasText: 'completed' }).waitFor();
    await page.getByText("{ paid: 'o-1' }").waitFor();
    await open('failures');
    await page.getByText('Nothing has failed').waitFor();
  });

  test('failures that are chosen are discarded', async () => {
    const { docket } = assembled.fleet;
    const probe = { file: `/nowhere/${randomUUID()}` };
    for (const key of ['a', 'b', 'c']) await docket.add('charge', { probe, orderId: key }, { key });
    await open('failures');
    for (const key of ['a', 'b', 'c']) await page.getByLabel(`Choose ${key}`, { exact: true }).waitFor();
    await page.getByLabel('Choose a', { exact: true }).check();
    await page.getByLabel('Choose c', { exact: true }).check();
    await page.getByRole('button', { name: 'Discard 2 chosen' }).click();
    await page.locator('dialog').getByRole('button', { name: 'Discard' }).click();
    await notice('Discarded 2 failures.');
    await page.getByLabel('Choose c', { exact: true }).waitFor({ state: 'detached' });
    await page.getByLabel('Choose b', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Discard all' }).click();
    await page.locator('dialog').getByRole('button', { name: 'Discard' }).click();
    await page.getByText('Nothing has failed').waitFor();
    expect((await docket.snapshot()).totals.failures).toBe(0);
  });

  test('of many failures all are counted, and they are listed page by page, newest first', async () => {
    const { docket } = assembled.fleet;
    const probe = { file: `/nowhere/${randomUUID()}` };
    await docket.discard({});
    const many = Array.from({ length: 230 }, (_, n) =>
      call('charge', { probe, orderId: `o-${n}` }, { key: `many-${n}` }),
    );
    await docket.addMany(many);
    await waitFor(async () => (await docket.snapshot()).totals.failures === 230);
    await open('');
    await page.locator('.panel', { hasText: 'Failing' }).getByRole('link', { name: 'charge' }).waitFor();
    expect(await accessibilityProblems(page)).toEqual([]);
    await open('failures');
    await row('TypeError').filter({ hasText: '230' }).first().waitFor();
    const list = page.getByRole('table', { name: 'Failures', exact: true });
    expect(await list.locator('tbody tr').count()).toBe(100);
    await page.getByRole('link', { name: 'Older' }).click();
    await page.getByRole('heading', { name: 'Older' }).waitFor();
    await page.getByRole('link', { name: 'Older' }).click();
    await page.getByRole('link', { name: 'Older' }).waitFor({ state: 'detached' });
    await waitFor(async () => (await list.locator('tbody tr').count()) === 30);
    await page.getByLabel('Choose all on this page').check();
    await page.getByRole('button', { name: 'Discard 30 chosen' }).click();
    await page.locator('dialog').getByRole('button', { name: 'Discard' }).click();
    await notice('Discarded 30 failures.');
    await page.getByRole('link', { name: 'Newest' }).click();
    await page.getByRole('button', { name: '1 h' }).click();
    await page.getByRole('button', { name: 'Discard all of these' }).waitFor();
    expect(await accessibilityProblems(page)).toEqual([]);
    await page.getByRole('button', { name: 'Discard all of these' }).click();
    await page.locator('dialog', { hasText: 'Discard 200 failures?' }).getByRole('button', { name: 'Discard' }).click();
    await page.getByText('Nothing failed like this').waitFor();
    expect((await docket.snapshot()).totals.failures).toBe(0);
  });

  test('schedules are told in words, and end by a button', async () => {
    await open('schedules');
    await row('report-1').getByText('09:00').waitFor();
    await row('report-1').getByText('Europe/Berlin').waitFor();
    expect(await accessibilityProblems(page)).toEqual([]);
    await row('report-1').getByRole('button', { name: 'End' }).click();
    await page.getByRole('button', { name: 'End it' }).click();
    await page.getByText('There are no schedules').waitFor();
  });

  test('a task is paused and resumed', async () => {
    const { docket } = assembled.fleet;
    await open('tasks');
    await row('report').getByRole('button', { name: 'Pause' }).click();
    await row('report').getByText('paused').waitFor();
    expect(await docket.pauses()).toMatchObject([{ task: 'report' }]);
    expect(await accessibilityProblems(page)).toEqual([]);
    await row('report').getByRole('button', { name: 'Resume' }).click();
    await row('report').getByText('paused').waitFor({ state: 'detached' });
    await row('charge').getByText('timeout 30s').waitFor();
    await row('crawl').getByText('1 at once').waitFor();
    const names = async () => await page.locator('tbody .task').allTextContents();
    await page.getByRole('button', { name: 'Task', exact: true }).click();
    await page.locator('th[aria-sort=descending]', { hasText: 'Task' }).waitFor();
    const descending = await names();
    expect(descending).toEqual(descending.toSorted().reverse());
    expect(await accessibilityProblems(page)).toEqual([]);
    await row('charge').getByRole('link', { name: 'charge' }).click();
    await page.locator('canvas').first().waitFor();
    expect(await docket.pauses()).toEqual([]);
  });

  test('the whole docket is paused and resumed, which every page says', async () => {
    await open('');
    await page.getByRole('button', { name: 'Pause the docket' }).click();
    await page.locator('dialog').getByRole('button', { name: 'Pause' }).click();
    await page.getByText('The whole docket is paused').waitFor();
    expect(await assembled.fleet.docket.pauses()).toMatchObject([{ task: null, reason: 'manual' }]);
    await open('strikes');
    await page.getByText('The whole docket is paused').waitFor();
    await page.getByRole('button', { name: 'Resume' }).click();
    await page.getByText('The whole docket is paused').waitFor({ state: 'detached' });
  });

  test('limits tell who holds their permits, and who waits', async () => {
    await open('limits');
    const limit = page.locator('.limit', { hasText: 'crawl' });
    await limit.getByText('1 of 1 taken').waitFor();
    await limit.locator('ul', { hasText: 'crawl-1' }).waitFor();
    await limit.locator('ol', { hasText: 'crawl-2' }).waitFor();
    expect(await accessibilityProblems(page)).toEqual([]);
  });

  test('a strike is made and taken back', async () => {
    const { docket } = assembled.fleet;
    await open('strikes');
    await row('c-9').waitFor();
    expect(await accessibilityProblems(page)).toEqual([]);
    await page.getByLabel('Task').fill('report');
    await page.getByLabel('Argument').fill('rows');
    await page.locator('select[name=operator]').selectOption('between');
    await page.getByLabel('Value').fill('1 and 9');
    await page.locator('form').getByRole('button', { name: 'Strike' }).click();
    await page.locator('dialog').getByRole('button', { name: 'Strike' }).click();
    await row('rows').waitFor();
    expect((await docket.strikes()).find(({ task }) => task === 'report')).toMatchObject({ value: [1, 9] });
    await row('rows').getByRole('button', { name: 'Restore' }).click();
    await row('rows').waitFor({ state: 'detached' });
    await row('c-9').getByRole('button', { name: 'Restore' }).click();
    await page.getByText('Nothing is struck').waitFor();
  });

  test('workers are listed with their load', async () => {
    await open('workers');
    await row('of 8 at once').getByText(process.version).waitFor();
    expect(await accessibilityProblems(page)).toEqual([]);
  });

  test('a worker that is about to end is shown as draining, and an older one with dashes for what it does not tell', async () => {
    const { docket, name } = assembled.fleet;
    const redis = await docket.redis;
    const report = {
      name: 'aged',
      threads: '2',
      concurrency: '2',
      running: '0',
      tasks: '[]',
      lease: '30000',
      claims: '0',
    };
    const age = { ...report, seen: String(Date.now()) };
    await redis.hset(`{${name}}:worker:aged:1`, age);
    await redis.hset(`{${name}}:worker:leaving:1`, { ...age, name: 'leaving', draining: '1', version: '9.9.9' });
    for (const consumer of ['aged:1', 'leaving:1']) {
      await redis.zadd(`{${name}}:workers`, Date.now() + 600_000, consumer);
    }
    await open('workers');
    await row('leaving').getByText('draining').waitFor();
    await row('leaving').getByText('9.9.9').waitFor();
    await row('aged').getByText('takes no work').waitFor();
    await row('aged').getByText('–').first().waitFor();
    expect(await accessibilityProblems(page)).toEqual([]);
    await open('');
    await page.locator('.tile', { hasText: 'Workers' }).getByText('1 draining').waitFor();
    for (const consumer of ['aged:1', 'leaving:1']) {
      await redis.zrem(`{${name}}:workers`, consumer);
      await redis.del(`{${name}}:worker:${consumer}`);
    }
  });

  test('a question mark tells the keys, and they lead to the pages', async () => {
    await open('');
    await page.keyboard.press('?');
    await page.locator('dialog', { hasText: 'Keys' }).getByText('Failures').waitFor();
    expect(await accessibilityProblems(page)).toEqual([]);
    await page.keyboard.press('Escape');
    await page.locator('dialog').waitFor({ state: 'detached' });
    await page.keyboard.press('g');
    await page.keyboard.press('w');
    await page.locator('h1', { hasText: 'Workers' }).waitFor();
  });

  test('the priority of an execution is shown where it is listed, and on its own page', async () => {
    const { docket } = assembled.fleet;
    await docket.add('report', {}, { key: 'urgent', when: '1h', priority: 'high' });
    await open('executions/scheduled');
    await row('urgent').locator('.chip', { hasText: 'high' }).waitFor();
    await row('urgent').getByRole('link', { name: 'urgent' }).click();
    await page.locator('.facts', { hasText: 'Priority' }).getByText('high').waitFor();
    await open('');
    expect(await docket.cancel('urgent')).toMatchObject({ outcome: 'removed' });
  });

  const PLACES = [
    '',
    'executions',
    'executions/find?task=crunch&q=1',
    'execution/crunch-1',
    'failures',
    'schedules',
    'tasks',
    'limits',
    'strikes',
    'workers',
  ];

  test('in the dark and on a phone every page is readable, and none scrolls sideways', async () => {
    const phone = await browser.newPage({ viewport: { width: 390, height: 800 }, colorScheme: 'dark' });
    const noted = notesOfProblems(phone);
    for (const place of PLACES) {
      await phone.goto(`${served.url}#/${place}`);
      await phone.locator('main h1').first().waitFor();
      expect([place, await accessibilityProblems(phone)]).toEqual([place, []]);
      const isWide = await phone.evaluate<boolean>('document.documentElement.scrollWidth > innerWidth');
      expect([place, isWide]).toEqual([place, false]);
    }
    await phone.close();
    expect(noted).toEqual([]);
  });

  test('an outage of Redis is told once, with the age of what is shown, and ends without a reload', async () => {
    const redis = await startRestartableRedis(true);
    const docket = new Docket({ name: `t-${randomUUID()}`, url: redis.url });
    closing.push(() => docket.close().then(() => redis.stop()));
    await docket.add('report', {}, { key: 'kept', when: '1h' });
    const failing = await serve(docket);
    refused.push(failing.url);
    await open('executions/scheduled', failing);
    await row('kept').waitFor();
    await redis.kill();
    await page.locator('.link-down').waitFor();
    await page.locator('.callout.fail').getByText('What is shown is from').waitFor();
    expect(await page.locator('.callout.fail').count()).toBe(1);
    expect(await accessibilityProblems(page)).toEqual([]);
    await row('kept').waitFor();
    await redis.start();
    await page.locator('.link-live').waitFor();
    await page.locator('.callout.fail').waitFor({ state: 'detached' });
  });

  test('an empty docket says on every page what to do next', async () => {
    const docket = new Docket({ name: `t-${randomUUID()}`, url: url() });
    closing.push(() => docket.close());
    const empty = await serve(docket);
    for (const place of ['', ...PLACES.slice(4), 'executions/queued', 'executions/scheduled', 'executions/waiting']) {
      await open(place, empty);
      await page.locator('.empty-title').first().waitFor();
    }
    expect(await accessibilityProblems(page)).toEqual([]);
  });

  test('a page that is read-only, under a base path and behind a password offers no change', async () => {
    const options = { basePath: '/ops/docket', token: 'a long secret', readOnly: true };
    const locked = await serve(assembled.fleet.docket as Docket, options);
    expect((await fetch(locked.url)).status).toBe(401);
    const httpCredentials = { username: 'ada', password: 'a long secret' };
    const guest = await browser.newPage({ httpCredentials });
    await guest.goto(locked.url.replace(/\/$/, ''));
    await guest.getByText('read-only').waitFor();
    await guest.locator('.link-live').waitFor();
    await guest.locator('.side').getByRole('link', { name: 'Executions' }).click();
    await guest.locator('tbody tr', { hasText: 'crunch-1' }).waitFor();
    const labels = await guest.locator('main button').allTextContents();
    expect(labels.filter((label) => /cancel|pause|retry|run now/i.test(label))).toEqual([]);
    await guest.close();
  });
}
