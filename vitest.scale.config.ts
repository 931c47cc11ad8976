/**
 * The suites as `npm run test:scale` runs them: files of `test/behaviour` that usually run on one server, with four partitions in
 * each docket. `DOCKET_TEST_TARGET` says where: `partitions` is one server, `cluster` a cluster of three masters.
 *
 * A file is in the list if what it holds could depend on where executions are. Tests that cannot hold there are left out by name,
 * each with the reason; they count as skipped. Other files are left out as a whole:
 * - priorities, kept-priorities, pause/tasks, pause/docket, pause/fleet, add, add-many: order in all of the docket, and streams of
 *   one partition. `test/behaviour/partitions` has tests of its own for priorities and pauses.
 * - limits/admission, fencing, unknown-tasks, cancel-memory, lost-places: they go to the scripts of one partition.
 * - automatic: a worker is ready with its first partition, and these tests take it that it has seen to the chains of all by then.
 * - progress, timeouts, threads and whatever else is about one execution, thread, connection or server.
 */
import { readFileSync } from 'node:fs';
import { defineConfig } from 'vitest/config';
import suite from './vitest.config.js';

const ORDER = 'executions keep their order within a partition only';
const MOVED =
  'it adds by name; workers move that to the partition of its limit, where it has the order in which it arrives';
const ONE_PARTITION = 'it writes to the keys of one partition, or acts as the worker of one';
const EMPTY = 'it expects that a docket has no keys, or one partition of them; four have more';
const COUNTED = 'it counts commands, connections or steps, of which four partitions need more';
const ONE_SERVER = 'it breaks, holds up or watches the link to one server';

/** Tests that are left out of a file, by how their titles begin or end, and why. */
type LeftOut = Readonly<Record<string, string>>;

const FILES: Readonly<Record<string, LeftOut>> = {
  'cancel.test.ts': {
    'a queued execution keeps later workers from running it, and nothing else':
      'each partition with entries remembers an id that none knows, and only the one that meets it forgets it before it expires',
    'before the claim is confirmed is not forgotten': ONE_PARTITION,
  },
  'cancel-many.test.ts': {},
  'clear.test.ts': {
    'removes all that is queued or scheduled, returns the number, and leaves nothing of lean executions': EMPTY,
    'removes what another version has moved, which does not say when it was placed': ONE_PARTITION,
    'keeps the record for as long as usual when the message was cut off': ONE_PARTITION,
    'goes on behind the last member that stayed, though one before it has gone meanwhile': ONE_PARTITION,
    'lets a debounce go on whose winner it removed': ONE_PARTITION,
    'lets a debounce go on whose winner was queued already': ONE_PARTITION,
    'removes that of an execution that is queued already': ONE_PARTITION,
    'keeps those of attempts that have run': ONE_PARTITION,
    'removes an execution that was read but not claimed if it has a record': ONE_PARTITION,
  },
  'count.test.ts': {},
  'cron.test.ts': {},
  'failures.test.ts': {
    'without a record under its old id, through all its attempts': ONE_PARTITION,
    'in the order in which they failed, and what fails again is not retried in turn': ORDER,
    'in as many scripts as its size asks for': COUNTED,
    'not while its message cannot be read, or while something else has its key': ONE_PARTITION,
    'by number': 'each partition keeps as many',
    'by bytes, with its arguments': 'each partition keeps as many',
    'by age': ONE_PARTITION,
    'also when what can never run comes, within the bounds that the last worker gave': ONE_PARTITION,
    'whose place in Redis is taken by another program costs the others nothing': ONE_PARTITION,
    'is discarded by id and by filter': ORDER,
    'has placed the execution and removed the failure: repeated, it runs nothing twice': ONE_PARTITION,
    'are ten thousand in the end, the newest, whose bytes are counted': ONE_PARTITION,
  },
  'keys.test.ts': {},
  'list.test.ts': {
    'takes one page of a filter that matches nothing for a bounded number of executions': COUNTED,
    'of many limits looks at a few for one page, however little waits at each': COUNTED,
    'leaves out what is no execution, and never blocks on it': ONE_PARTITION,
  },
  'limits/concurrency.test.ts': {},
  'limits/holders.test.ts': {},
  'limits/once.test.ts': {
    'runs the last submission of each value, once, when things have settled': MOVED,
  },
  'limits/rate.test.ts': {
    'each at its place, in order of arrival for each value': MOVED,
    'still limits the starts, in order, after': MOVED,
  },
  'limits/together.test.ts': {},
  'limits/waiting.test.ts': { 'that is replaced is gone, and its successor stands at the end of the line': MOVED },
  'on-failed.test.ts': {},
  'overrides.test.ts': { 'and cannot be read put it into quarantine': ONE_PARTITION },
  'pause/deleted.test.ts': {},
  'perpetual.test.ts': {},
  'redelivery.test.ts': {
    'between read and settle leaves an execution that': ONE_PARTITION,
    'interrupts what runs on without a lease, and discards its outcome': ONE_PARTITION,
  },
  'replace.test.ts': {
    'needs a key': EMPTY,
    'while workers race lets none be claimed once a newer one is placed, and the last one counts': ONE_PARTITION,
    'that waited behind another on its thread does not start': ORDER,
  },
  'results.test.ts': {
    'a handle whose add was lost in a failover does not show the older execution under its key': ONE_PARTITION,
    'ends by an event when a newer execution takes the key': ONE_PARTITION,
    'all waiting calls share one subscriber connection, and those of an execution one channel': COUNTED,
  },
  'retries.test.ts': { 'with a delay of 0 goes behind what waits': ORDER },
  'run-at-most.test.ts': {},
  'schedules.test.ts': {},
  'scheduling.test.ts': {
    'a date or a duration in the future is waited for': 'each partition reads its own clock',
    'executions run in the order of their due times, whatever the order of the adds': ORDER,
    'a member of the schedule without a record is kept as a failure, and executions behind it run': ONE_PARTITION,
    'an execution whose wake-up was lost is moved by what the next heartbeat sees': ONE_PARTITION,
    'nothing but heartbeats looks at a schedule on which nothing is due': COUNTED,
    'an execution that becomes due while a worker has lost its subscription wakes it once it is back': COUNTED,
  },
  'show.test.ts': {},
  'shown-priorities.test.ts': {},
  'snapshot.test.ts': {
    'lists queued executions in the order in which they are read, without those that a worker has': ONE_PARTITION,
    'counts the failures that are kept': ONE_PARTITION,
    'leaves out a worker whose heartbeat has expired, without removing it': ONE_PARTITION,
    'is not listed while its reads are not answered': COUNTED,
  },
  'strike-list.test.ts': { 'notices that the strikes were deleted by hand': ONE_PARTITION },
  'strikes.test.ts': {
    'a struck call writes nothing': EMPTY,
    'what cannot be struck is refused before anything is written': EMPTY,
    'ten thousand strikes and restores leave what is still struck': EMPTY,
    'a producer opens no connection and sends no command for strikes while nothing is struck': COUNTED,
  },
};

/** What is also left out on the cluster. */
const ON_CLUSTER: Readonly<Record<string, LeftOut>> = {
  'cancel.test.ts': {
    'while the link was down takes effect once it is back': ONE_SERVER,
    'while the link was down still ends a chain': ONE_SERVER,
  },
  'limits/once.test.ts': {
    'keeps one of many submissions, and nothing of the others':
      'it looks while submissions are still moved to the partition of their limit',
  },
  'results.test.ts': {
    'what others publish on the channel of an execution does not end the wait for it': ONE_SERVER,
    'waiting survives the loss of the subscriber connection': ONE_SERVER,
    'an outcome that was published while the subscriber was away is found when it is back': ONE_SERVER,
    'an outcome that is published between a reconnection and the subscription is found at once': ONE_SERVER,
  },
  'scheduling.test.ts': {
    'an execution that becomes due before a worker has subscribed wakes it once it has': ONE_SERVER,
  },
  'strike-list.test.ts': {
    'knows its own strike and restore as soon as they have resolved, however late the messages come': ONE_SERVER,
  },
  'strikes.test.ts': { 'workers agree by push: none sends a command until something changes': ONE_SERVER },
};

const pathOf = (file: string) => `test/behaviour/${file}`;
const escaped = (text: string) => text.replaceAll(/[$()*+.?[\\\]^{|}]/g, '\\$&');

/** @throws Error when a file has no such test */
function titlesOf(table: Readonly<Record<string, LeftOut>>): string[] {
  return Object.entries(table).flatMap(([file, tests]) => {
    const source = readFileSync(new URL(pathOf(file), import.meta.url), 'utf8');
    for (const title of Object.keys(tests)) {
      if (!source.includes(title)) throw new Error(`${file} has no test with the title '${title}'`);
    }
    return Object.keys(tests);
  });
}

const leftOut = [...titlesOf(FILES), ...(process.env.DOCKET_TEST_TARGET === 'cluster' ? titlesOf(ON_CLUSTER) : [])];
const { projects: _, ...test } = suite.test!;

export default defineConfig({
  ...suite,
  test: {
    ...test,
    include: Object.keys(FILES).map(pathOf),
    testNamePattern: new RegExp(`^(?!.* (?:${leftOut.map(escaped).join('|')}))`),
    isolate: false,
    globalSetup: 'test/support/temporary.ts',
    hookTimeout: 60_000, // a process starts its cluster
  },
});
