/**
 * Names everything docket stores in Redis: keys, fields, letters, limits and lifetimes, each once.
 *
 * TypeScript imports these names. The Lua scripts use them too, in snake case (`ENTRY.holds_permits`), and
 * `scripts/embed.js` replaces each with its value, so that names cost nothing at run time. It also writes the tables of
 * `scripts/README.md` from the comments here.
 *
 * The values are the wire: workers and producers of several versions share one Redis, so a value never changes its
 * meaning. See "Changing the wire" in that file.
 */
import { DEFAULT_TOTAL } from '../core/progress.js';

/** The keys, behind `{docket}:`. One that ends with a colon is a family: a key, an id or another name follows. */
export const KEY = {
  /** Stream of the executions that are due, in order of arrival. */
  work: 'work',
  /** Stream of the executions that have waited before: woken waiters, requeued and redelivered ones. Read first. */
  front: 'front',
  /** Stream of the executions of high priority that are due, in order of arrival. Read before `work`. */
  high: 'high',
  /** Stream of the executions of low priority that are due, in order of arrival. Read last. */
  low: 'low',
  /** Sorted set of the executions that are not due yet: their members, by due time in server milliseconds. */
  schedule: 'schedule',
  /** Hash: the record of one execution, by its key. */
  record: 'run:',
  /** Hash: an execution without a record while it is parked, by its id. Not under `run:`, where it could meet a key. */
  parked: 'parked:',
  /**
   * Sorted set: members that were rerouted because no live worker had this task, by their due times on the schedule.
   * Bounded, and expires.
   */
  rerouted: 'rerouted:',
  /** Set: tasks that have members in `rerouted:`, so that heartbeats look there only when there are any. Expires. */
  recallable: 'recallable',
  /** Text: the number of the last placement. */
  generation: 'generation',
  /** Set: tokens of running executions whose key was replaced. Nothing of them may be written. Expires. */
  superseded: 'superseded',
  /** Stream of the failures: executions that failed for good, or can never run. Bounded, and expires. */
  failures: 'failures',
  /** Hash: how many bytes the failures have, and the bounds of the worker that kept one last. Expires with the failures. */
  failureBounds: 'failure-bounds',
  /** Hash: how many permits of each limit are taken, by the limit's name. */
  permitsTaken: 'held',
  /** Hash: the permits that an entry holds, by its token, as `<name> <max> <name> <max> ...`. */
  permits: 'slots',
  /** Sorted set: the waiters at one limit, or in the line of a paused task, as members, by their tickets. */
  limit: 'limit:',
  /** Hash: names of the limits and lines that may have waiters. */
  waiting: 'waiting',
  /** Sorted set: limits whose waiters a script left to a scheduler, and lines of tasks that were resumed. */
  wakes: 'wakes',
  /** Sorted set: attempts under one rate limit that have started, by time. */
  rate: 'rate:',
  /** Sorted set: attempts that wait for their start under one rate limit, by the time of their booking. Expires. */
  booked: 'booked:',
  /** Text: the execution that one cooldown let through. Expires with the window. */
  cooldown: 'cooldown:',
  /** Hash: the winner of one debounce. */
  debounce: 'debounce:',
  /** Sorted set: ids of cancelled executions without a record, by the time at which they are forgotten. Bounded, and expires. */
  cancelled: 'cancelled',
  /** Sorted set: keys of the chains that have records, all with the score 0, so that they are in the order of their bytes. */
  chains: 'chains',
  /** Hash: automatic tasks whose chains were started, each with a fingerprint of the policy it was started under. */
  automatic: 'automatic',
  /** Hash: automatic tasks whose chains somebody ended. */
  ended: 'ended',
  /** Sorted set: consumers of live workers, by the time at which their heartbeats expire, in server milliseconds. */
  workers: 'workers',
  /** Hash: what one worker reports of itself, by its consumer. Expires with its heartbeat. */
  worker: 'worker:',
  /** Text: held by the worker that looks for expired leases, until the next look is due. */
  sweeper: 'sweeper',
  /** Text: where the scan for executions that have lost their place goes on. Expires. */
  scan: 'scan',
  /** Text: exists while messages of more than 16 KiB may be on the streams. Expires. */
  large: 'large',
  /** Text: exists while somebody listens for events, and says for which (`LISTENED_FOR`). Listeners keep it alive. */
  listeners: 'listeners',
  /** Hash: strikes by their canonical text (`wire/strikes.ts`), each with the time at which it was made. */
  strikes: 'strikes',
  /** Hash: pauses as `<what> <reason>`, each with the time at which it was made. Exists while anything is paused. Bounded. */
  paused: 'paused',
  /** Hash: what workers counted in one minute, by task, as JSON. The minute is a number of server minutes. Expires. */
  history: 'history:',
  /** Text: number of the last page that one worker has added to the history, by its consumer. Expires. */
  historyPage: 'history-page:',
  /** Hash, of partition 0 only: the partitions that the docket has. Absent while there has only been one. */
  layout: 'layout',
  /** Text: the token of whoever changes the partitions. While it exists, no producer that knows of it adds anything. Expires. */
  layoutChange: 'layout-change',
  /**
   * Sorted set: executions that may have arrived in another partition and are still here, by the time at which their moves are
   * forgotten. Expires.
   */
  departures: 'departures',
  /** Text: whether a move from another partition was made or stopped (`ARRIVED`), by its name, so that it is made once. Expires. */
  arrived: 'arrived:',
  /** Keys that users keep beside a docket. */
  user: 'user:',
} as const;

/** The channels, behind `{docket}:` in database 0, and behind `{docket}:@3:` in database 3: a server has one set of channels. */
export const CHANNEL = {
  /** Events of one execution, by its key. */
  events: 'events:',
  /** What to stop: the token of a running execution, `l` and an id, or `s` and the token of one that must not start. */
  cancel: 'cancel',
  /** Due time of the new head of the schedule, for sleeping schedulers. */
  wake: 'wake',
  /** Changes of the strikes, as `<version before, 0 at first> <version> <+ or -><canonical text>`. */
  strikeChanges: 'strikes',
  /** Changes of the pauses, as `<version before, 0 at first> <version> <+ or -><what> <reason>`. */
  pauseChanges: 'paused',
  /** The version of the layout after each change, in partition 0. */
  layoutChanges: 'layout',
} as const;

/** The consumer group of all streams. */
export const GROUP = 'workers';

/** The first letter of a token, before the id of an entry. */
export const STREAM = {
  /** An entry of `work`. */
  work: 'w',
  /** An entry of `front`. */
  front: 'f',
  /** An entry of `high`. */
  high: 'h',
  /** An entry of `low`. Not `l`: on the channel `cancel`, an id follows that letter. */
  low: 'b',
} as const;

/** The letter of a stream. */
export type StreamLetter = (typeof STREAM)[keyof typeof STREAM];

/** The name of a stream. */
export type StreamName = keyof typeof STREAM;

/** All streams, in the order in which they are read. */
export const STREAM_NAMES: readonly StreamName[] = ['front', 'high', 'work', 'low'];

/** Their letters, in the same order. */
export const STREAM_LETTERS: readonly StreamLetter[] = STREAM_NAMES.map((name) => STREAM[name]);

/** Their keys behind the prefix, by their letters. */
export const STREAM_KEYS: Readonly<Record<string, string>> = Object.fromEntries(
  STREAM_NAMES.map((name) => [STREAM[name], KEY[name]]),
);

/** The priority of an execution, as scripts and entries say it: the letter of the stream it is added to. */
export const PRIORITY = { high: STREAM.high, normal: '', low: STREAM.low } as const;

/**
 * What the priority adds to the ticket of a waiter, in microseconds. A waiter of high priority goes before all others. A waiter of
 * low priority goes after those that were added within the next hour, and no later, so that it never starves.
 */
export const TICKET_SHIFT: Readonly<Record<string, number>> = {
  [STREAM.high]: -4_000_000_000_000_000,
  [STREAM.low]: 60 * 60 * 1_000_000,
};

/** The first letter of a text that names an execution. A member is one of the first two. */
export const LETTER = {
  /** Before a key: the execution has a record. */
  recorded: 'k',
  /** Before an id: the execution has no record. */
  lean: 'l',
  /** Before a token, where an entry is named beside members. */
  entry: 'e',
  /** Before a token, on the channel `cancel`: the key was given to another execution, and this one must not start. */
  superseded: 's',
} as const;

/**
 * What a pause applies to. The line of a paused task has the same name, among those of limits (`KEY.limit`). No limit has such a
 * name, since the names of limits are percent-encoded after their first letter, which is `@` or encoded, too.
 */
export const PAUSE = {
  /** The whole docket. */
  docket: '*',
  /** Before the name of a task, percent-encoded. */
  task: '#',
} as const;

/** Fields of the record of an execution, `run:<key>`. */
export const RECORD = {
  /** State: `scheduled`, `queued`, `running`, `completed`, `failed` or `cancelled`. */
  state: 's',
  /** Generation: the number of this placement. It is unique in the docket and only grows. */
  generation: 'g',
  /** Token of the entry that stands for this execution, the only one that may be claimed. Empty while there is none. */
  entry: 'e',
  /** Name of the task. */
  task: 't',
  /** Due time in server milliseconds. Absent when it was due as it was placed, at a thousandth of its generation. */
  due: 'w',
  /** Number of the attempt. Absent for the first. */
  attempt: 'a',
  /** `1` once somebody has cancelled it while it ran. */
  cancelled: 'z',
  /** Name of the worker that claimed it last. */
  worker: 'k',
  /** When it was claimed last, in server milliseconds. */
  started: 'b',
  /** When it ended, in server milliseconds. */
  ended: 'c',
  /** Its result, encoded. */
  result: 'r',
  /** Its error, encoded. */
  error: 'x',
  /** Its error, or the reason why it ended without one, as a line of text. */
  errorLine: 'y',
  /** Its last attempts that failed and were retried, a line each, the newest first (`failed-attempts.ts`). Absent for none. */
  failedAttempts: 'h',
  /** Its chain, if it is a run of one: JSON (`tasks/chain.ts`). Absent in a chain of older versions until a run ends. */
  chain: 'ch',
  /** While a worker moves it to another partition: the tag of that, a space, and the name of the move (`depart.lua`). */
  departing: 'd',
  /** After a `replace`: until when, in server milliseconds, it waits to arrive where its key is taken (`arrive.lua`). */
  replacing: 'f',
  /** How the run before it ended: state, time in server milliseconds, and its error line, with spaces in between. */
  lastRun: 'cl',
} as const;

/** More fields of the record. They belong to one attempt, and are absent until something was reported. */
export const PROGRESS = {
  /** What the attempt itself has counted. Only the owner of the entry writes it, and always as a whole. */
  counted: 'i',
  /** What others have added from outside. */
  added: 'j',
  /** What the sum of both is measured against. */
  total: 'o',
  /** A message for people, possibly of several lines. Empty when there is none. */
  message: 'u',
  /** When any of this last changed, in server milliseconds. */
  updated: 'v',
} as const;

/** Fields of an entry. Fields that a version does not know travel on with the execution. */
export const ENTRY = {
  /** Key, when there is a record. */
  key: 'k',
  /** The message (`wire/envelope.ts`). */
  message: 'm',
  /** Due time in server milliseconds, when it is not the time of the entry's id. */
  due: 'w',
  /** Deliveries before this one that ended without an outcome. */
  deliveries: 'd',
  /** How many of them the execution is charged with. */
  charges: 'c',
  /** How often it was rerouted. */
  reroutes: 'p',
  /** Admission stage. Absent while it has to pass all limits. */
  stage: 'o',
  /** `1` when it came with its permits, woken or requeued, so that it need not pass its limits again. */
  holdsPermits: 'h',
  /** Name of the debounce whose winner it is. */
  debounce: 'q',
  /** A rate limit has yet to count its attempt: the booking that it has or had there, as `<attempt> <name>`. */
  booking: 'u',
  /** Without a record, once it has moved: its generation or the id of its first entry, by which `clear` dates it. */
  placed: 'g',
  /** Its priority (`PRIORITY`). Absent for a normal one, and where the stream says it. */
  priority: 'y',
  /** How often it was moved from another partition. Absent for never. */
  moves: 'v',
} as const;

/** Put before the name of an entry's field while the execution is parked, in its record or under `parked:<id>`. */
export const PARKED_PREFIX = 'p';

/** Fields of a parked execution that scripts name. It has all other fields of its entry too, behind the prefix. */
export const PARKED = {
  /** The message, as in the entry. The record of an execution that has ended may keep it, with its arguments. */
  message: ENTRY.message,
  /** Due time, as in the record and in the entry. */
  due: ENTRY.due,
  /** While it waits for permits: those it needs, as `<name> <max> <name> <max> ...`. Empty in the line of a pause. */
  needs: 'n',
  /** While it waits for permits: name of the limit at which it waits. While its task is paused: name of its line. */
  limit: 'l',
  /** Name of the debounce whose winner it is. */
  debounce: `${PARKED_PREFIX}${ENTRY.debounce}`,
  /** How far it has got through its limits. */
  stage: `${PARKED_PREFIX}${ENTRY.stage}`,
  /** The booking that it has at a rate limit. */
  booking: `${PARKED_PREFIX}${ENTRY.booking}`,
  /** Without a record: when it was placed. */
  placed: `${PARKED_PREFIX}${ENTRY.placed}`,
  /** Its priority. Absent for a normal one. */
  priority: `${PARKED_PREFIX}${ENTRY.priority}`,
} as const;

/** How far an execution has got through the limits of its task. */
export const STAGE = {
  /** It has to pass all of them. */
  new: '',
  /** It is the winner of a debounce, and the time to settle is over. */
  'debounce-over': '1',
  /** It has passed cooldown and debounce, which count submissions. */
  'submission-admitted': '2',
  /** It has also passed the rate for this attempt, which has started; or it has a booking, and passes the rate as it starts. */
  'attempt-admitted': '3',
} as const;

/** How far an execution has got through the limits of its task, in words. */
export type AdmissionStage = keyof typeof STAGE;

/** Fields of the hash `debounce:<name>`. */
export const DEBOUNCE = {
  /** Member of the submission that is to run. */
  winner: 'winner',
  /** Its ticket. */
  ticket: 'ticket',
  /** The TTL of its record, in milliseconds. */
  ttl: 'ttl',
} as const;

/** Fields of the hash `worker:<consumer>`. */
export const WORKER = {
  /** Name of the worker, which others may share. */
  name: 'name',
  /** Number of its threads. */
  threads: 'threads',
  /** Number of executions it runs at once. */
  concurrency: 'concurrency',
  /** Number of executions it has. */
  running: 'running',
  /** Names of the tasks it knows, as JSON. */
  tasks: 'tasks',
  /** Its lease, in milliseconds. */
  lease: 'lease',
  /** `0` while it lives but takes no work. */
  claims: 'claims',
  /** `1` when it has a fallback, so that it runs tasks that it does not know. */
  fallback: 'fallback',
  /** Names of the arguments that its tasks show in the log, by task, as JSON. Absent for none. */
  logged: 'logged',
  /** The policies of its tasks in words, by task, as JSON. Written with one heartbeat a minute. */
  policies: 'policies',
  /** Version of docket. Absent in older versions. */
  version: 'version',
  /** Version of Node. Absent in older versions. */
  node: 'node',
  /** `1` while it drains. Absent in older versions. */
  draining: 'draining',
  /** Time of its last heartbeat, in server milliseconds. */
  seen: 'seen',
} as const;

/** Members of the JSON that is the value of each field of `history:<minute>`. One that is 0 is left out. */
export const TALLY = {
  /** Attempts that began. */
  started: 'b',
  /** Attempts that succeeded. */
  succeeded: 's',
  /** Executions that failed for good. */
  failed: 'f',
  /** Attempts that failed and were followed by another. */
  retried: 'r',
  /** Before the number of a bucket (`core/duration-counts.ts`): attempts that waited so long after their due time. */
  waiting: 'w',
  /** Before the number of a bucket: attempts that took so long. */
  duration: 'd',
} as const;

/** Fields of `history:<minute>` that are not names of tasks. */
export const HISTORY = {
  /** The sum of all tasks. */
  all: '',
  /** All tasks for which there was no room, together. A task of this name is counted with them. */
  other: 'other',
} as const;

/** Fields of an entry of the stream `failures`, whose id is that of the failure. Each entry has all of them; '' is none. */
export const FAILURE = {
  /** How it came here, see `FAILURE_KIND`. */
  kind: 'kind',
  /** Key or id of the execution. Empty when it is not known. */
  key: 'key',
  /** `1` when the execution has no record. */
  isLean: 'lean',
  /** Name of the task. Empty when the message cannot be read. */
  task: 'task',
  /** The message as it was found. A retry runs it as the first attempt. */
  message: 'message',
  /** The error, encoded. */
  error: 'error',
  /** Name of the error, such as `TypeError`. Empty when something else than an error was thrown. */
  errorName: 'name',
  /** The error, or why it can never run, as a line of text. */
  line: 'line',
  /** Number of the last attempt. */
  attempts: 'attempts',
  /** Deliveries of that attempt before the last that ended without an outcome. */
  deliveries: 'deliveries',
  /** Name of the worker. */
  worker: 'worker',
  /** Node's id of the thread. */
  thread: 'thread',
  /** When the execution was added, in server milliseconds. */
  added: 'added',
  /** When its last attempt started, in server milliseconds. */
  started: 'started',
  /** Its priority (`PRIORITY`). Empty for a normal one. */
  priority: 'priority',
} as const;

/** The fields in the order in which they are written. */
export const FAILURE_FIELDS = Object.values(FAILURE);

/** The kinds of failures. */
export const FAILURE_KIND = {
  /** The execution failed for good. */
  failed: 'failed',
  /** The message, or what is kept about the execution, cannot be used. */
  quarantined: 'quarantined',
} as const;

/** Fields of the hash `failure-bounds`. */
export const FAILURE_BOUNDS = {
  /** How many bytes the failures have, as they are counted. */
  bytes: 'bytes',
  /** How long a failure is kept, in milliseconds. */
  ttl: 'ttl',
  /** The maximum number of failures. */
  count: 'count',
  /** The maximum number of their bytes. */
  maxBytes: 'max-bytes',
} as const;

/** Fields of the hash `strikes` beside the strikes themselves. */
export const STRIKES = {
  /** Number of the last change of the list, from the generations. */
  version: 'version',
} as const;

/** Fields of the hash `paused` beside the pauses themselves. */
export const PAUSES = {
  /** Number of the last change, from the generations. */
  version: 'version',
} as const;

/** Fields of the hash `layout`. Tags are separated by spaces. */
export const LAYOUT = {
  /** Number of the last change, from the generations of partition 0. */
  version: 'version',
  /** Tags of the partitions from 1 on, in order. */
  tags: 'tags',
  /** Tags of the partitions that were removed and may still have work. */
  draining: 'draining',
} as const;

// Arguments of scripts, and the contents of events.

/** Fields of the record that are the lines of a state event, in this order. The line of an absent field is empty. */
export const EVENT_FIELDS = [
  RECORD.due,
  RECORD.started,
  RECORD.ended,
  RECORD.attempt,
  RECORD.worker,
  RECORD.errorLine,
] as const;

/** Number of the line that says when the execution ended, from 1. */
export const ENDED_LINE = EVENT_FIELDS.indexOf(RECORD.ended) + 1;

/** Numbers of the lines that say which attempt it is, from 1. */
export const STARTED_LINE = EVENT_FIELDS.indexOf(RECORD.started) + 1;
export const ATTEMPT_LINE = EVENT_FIELDS.indexOf(RECORD.attempt) + 1;
export const WORKER_LINE = EVENT_FIELDS.indexOf(RECORD.worker) + 1;

/** Number of the line that has the error, from 1. */
export const ERROR_LINE = EVENT_FIELDS.indexOf(RECORD.errorLine) + 1;

/** What the line behind those says in an event that ends an execution. After `result` and `error` come their bytes. */
export const EVENT_OUTCOME = { none: '-', result: 'r', error: 'x' } as const;

/** The size up to which the result or the error of an execution travels in the event that ends it. */
export const EVENT_OUTCOME_BYTES = 4 * 1024;

/** The fields that are removed when an execution goes on to another attempt, which counts from 0. */
export const PROGRESS_FIELDS = Object.values(PROGRESS);

/** What a due time begins with. Milliseconds follow; an empty text means now (`due-argument.ts`). */
export const DUE = {
  /** Counted from now. */
  after: '+',
  /** Of the server's clock. */
  at: '@',
} as const;

/** How a placement treats its key. */
export const PLACEMENT = {
  /** It is new for certain. */
  unique: 'u',
  /** It was given by the caller, and the first one wins. */
  keyed: 'k',
  /** It was given by the caller, and the first execution wins even after its end, while its record is kept. */
  once: 'o',
  /** It is an id; nothing is kept but the message, while it is parked. */
  lean: 'l',
} as const;

/** The groups in which settlements travel, with the number of arguments for each item. */
export const SETTLEMENT_WIDTH = {
  /** Of executions without a record that held permits: there is nothing to write. */
  unrecorded: 0,
  /** Completed, without a result: key. */
  completed: 1,
  /** Completed, with a result: key, result. */
  completedWithResult: 2,
  /** Ended in another way: key, state, result, error, error line, automatic task whose chain ends, message to keep. */
  ended: 7,
  /** Ended with the chain whose run it was: as when ended in another way. */
  chainEnded: 7,
  /** Moved on: destination, message, whether it keeps its due time, deliveries, charges, reroutes, stage, id, booking. */
  moved: 9,
  /** Moved on because no live worker had its task: as when moved, and name of the task. */
  rerouted: 10,
  /** Waits for the end of a pause: as when moved, with the line as its destination, and ticket of one without a record. */
  paused: 10,
  /** Moved on to another attempt: as when moved, and the error of the attempt that failed, as a line of text. */
  retried: 10,
  /**
   * Followed by the next run of its chain: key, state in which this run ended, due time, message, id, error line, chain
   * (`RECORD.chain`), priority.
   */
  followed: 8,
  /** Behind all others, about items that are kept as failures: index, error name, error line, error, worker, thread, start. */
  failures: 7,
} as const;

/** The reply of a retry for each failure. Any other text is the reason why it cannot run again. */
export const RETRY = {
  /** Its execution was placed again, and the failure was removed. */
  retried: 'retried',
  /** Its key has an unfinished execution. */
  taken: 'taken',
  /** There is no such failure, any more or at all. */
  missing: 'missing',
} as const;

/** What became of an execution that was moved to its partition. */
export const ARRIVAL = {
  /** It was placed. */
  placed: 'placed',
  /** It had been placed before, by an earlier try of the same move, or has ended there. */
  before: 'before',
  /** It is still there itself, because the move by which it came from there is not over; or what it replaces is still there. */
  leaving: 'leaving',
  /** Its key has another unfinished execution. */
  taken: 'taken',
  /** Somebody has cancelled or replaced it meanwhile, and stopped the move. */
  stopped: 'stopped',
  /** It came so late that the same move may have been over and forgotten. It was not placed. */
  late: 'late',
  /** Since its partition was chosen, the partitions have changed, or the strikes. It was not placed. */
  outdated: 'outdated',
} as const;

/** What the text `arrived:<name>` says about a move. */
export const ARRIVED = {
  /** The execution was placed. */
  placed: '1',
  /** It must not be placed. */
  stopped: '0',
} as const;

/** What became of an execution, in the partition that it leaves. */
export const DEPARTURE = {
  /** It was removed. */
  removed: 'removed',
  /** It was no longer there. */
  gone: 'gone',
  /** It has no record and was cancelled meanwhile. It is still there. */
  cancelled: 'cancelled',
} as const;

/** Changes of the strikes, as arguments and as they are published. */
export const CHANGE = {
  /** Something was struck. */
  strike: '+',
  /** Something was restored. */
  restore: '-',
} as const;

/**
 * Published as a change of the strikes when the partitions are about to change: the list gets a new version and stays the
 * same. No version of docket takes it for a strike.
 */
export const STRIKES_CONFIRMED = '=';

/** Changes of the pauses, as they are published. */
export const PAUSE_CHANGE = {
  /** Something was paused. */
  pause: '+',
  /** A pause was ended. */
  resume: '-',
} as const;

// Limits. Redis serves nobody else while a script runs.

/**
 * The maximum number of items that one script or command takes. Most scripts make three to eight calls for each item, about
 * 1 us each: with 256 of them, some took more than 5 ms (measured).
 */
export const BATCH_ITEMS = 128;

/**
 * The same for scripts that make at most two calls for a usual item: they add, acknowledge, claim and end executions. With 128,
 * the coordinator needs up to a quarter more CPU for each execution (measured).
 */
export const LIGHT_BATCH_ITEMS = 256;

/** Bytes of messages after which a script ends. */
export const BATCH_BYTES = 1024 * 1024;

/**
 * What an item counts at least, in bytes, if a script that takes light batches makes more than two calls for it. So a batch
 * has no more than `BATCH_ITEMS` of these. An execution that goes on the schedule is one.
 */
export const HEAVY_ITEM_BYTES = BATCH_BYTES / BATCH_ITEMS;

/** The maximum number of waiters that one script moves on in vain. */
export const VAIN_WAKES = 16;

/** The number of chains of the index that one sweep looks at. */
export const SWEPT_CHAINS = 16;

/** How much longer than its period a rate limit counts a start, as a fraction of the period. */
export const RATE_MARGIN = 0.02;

/** How much longer than its period a rate limit counts a start at most, in ms: the longest time from claim to start. */
export const RATE_MARGIN_MS = 100;

/** The maximum number of executions that are claimed in the round trip of the read that brings them. */
export const CLAIMED_WITH_READ = 8;

/** While there is a backlog, one in so many executions that are taken from it is of low priority, so that none waits for ever. */
export const LOW_SHARE = 32;

/** Bytes of a message that are read to identify an execution. The header of a message is shorter. */
export const MESSAGE_HEAD_BYTES = 3 * 1024;

/** The size beyond which a message is large, so that workers read few at a time. */
export const LARGE_BYTES = 16 * 1024;

/** The maximum number of executions of one task that can be recalled: those that are due last. The others wait. */
export const REROUTED_MEMBERS = 10_000;

/** How many failures are kept where no worker says otherwise; the newest are kept. */
export const FAILURES_KEPT = 10_000;

/** How many bytes of failures are kept where no worker says otherwise. */
export const FAILURE_BYTES_KEPT = 256 * 1024 * 1024;

/** What a failure counts beside the bytes of its fields. */
export const FAILURE_OVERHEAD_BYTES = 256;

/** The maximum number of failures that one script looks at. Each has some thirty texts, which take it 12 us (measured). */
export const FAILURES_LOOKED_AT = BATCH_ITEMS;

/** The maximum number of partitions. Each costs every worker a connection that reads. */
export const MOST_PARTITIONS = 256;

/** How long a move to another partition is remembered until it is over: longer than it takes any worker to try it again. */
export const ARRIVAL_REMEMBERED_MS = 24 * 60 * 60 * 1_000;

/** How long it is remembered afterwards: longer than a worker that has lost the execution may go on with it. */
export const ARRIVAL_FORGOTTEN_MS = 10 * 60 * 1_000;

/** How long after its beginning a move may arrive: less than it is remembered, since it may be over by another worker. */
export const ARRIVES_WITHIN_MS = ARRIVAL_FORGOTTEN_MS / 2;

/** How long an execution that replaces others waits to be moved until they are removed: longer than a producer takes for it. */
export const REPLACING_MS = 60_000;

/** The maximum number of pauses. Workers load all of them, and some scripts read them. */
export const MOST_PAUSES = 1_000;

/** Attempts that failed and were retried which a record keeps; the newest are kept. */
export const FAILED_ATTEMPTS = 20;

/** Keys that one script looks at to list executions that have ended. Each may be a record that is read. */
export const SCANNED_KEYS = 256;

/** The maximum number of fields that a minute of the history has for tasks. */
export const HISTORY_TASKS = 300;

/**
 * Deliveries without an outcome after which an execution is a suspect: it may be the cause of these losses.
 * From then on it runs on a thread of its own, one per worker, so that another death can be charged to it.
 */
export const SUSPECT_AFTER = 3;

/**
 * Values of the delivery counter that the group keeps for a pending entry. Redis sets it to 1 when an entry is read, and
 * renewals do not change it. It goes with the entry, so a mark that is kept here is never left behind.
 */
export const DELIVERY_COUNT = {
  /** It was read. */
  read: 1,
  /** It is marked as alone: nothing else has started in its process. If the process dies, it is charged. */
  alone: 1_000_000,
} as const;

export { DEFAULT_TOTAL };

// Lifetimes.

const DAY_MS = 24 * 60 * 60 * 1_000;

/** How long the record of an ended execution is kept when its message does not say. */
export const DEFAULT_TTL_MS = 15 * 60 * 1_000;

/** How long the cancel of an id without a record is remembered, for the worker that meets it. */
export const CANCEL_REMEMBERED_MS = DAY_MS;

/** How many cancels of ids without a record are remembered, unless there are more entries that they may be meant for. */
export const CANCELS_REMEMBERED = 10_000;

/** How long after its time a debounce whose winner was lost is forgotten. */
export const DEBOUNCE_FORGOTTEN_MS = DAY_MS;

/** How long a booking is kept after its time if its execution does not come. */
export const BOOKING_FORGOTTEN_MS = DAY_MS;

/** How long tokens of superseded executions are kept after the last one. */
export const SUPERSEDED_TTL_MS = 7 * DAY_MS;

/** How long rerouted executions can be recalled after the last reroute: longer than any of them waits. */
export const REROUTED_TTL_MS = 10 * 60 * 1_000;

/** How long failures are kept where no worker says otherwise. */
export const FAILURE_TTL_MS = 7 * DAY_MS;

/** How long a minute of the history is kept after its last change. */
export const HISTORY_TTL_MS = 2 * DAY_MS;

/** For how long a page of counts may be sent. */
export const HISTORY_PAGE_MS = 60 * 60 * 1_000;

/** How long it is remembered that a page was added: longer than it may be sent again, so that it never counts twice. */
export const HISTORY_PAGE_TTL_MS = 2 * HISTORY_PAGE_MS;

/** How long large messages are expected on the streams after the last one was added. Few lie there for longer. */
export const LARGE_TTL_MS = 30 * DAY_MS;

/** How long the place of the scan for lost executions is kept after the last page. */
export const SCAN_TTL_MS = DAY_MS;

/** The events that are published, as the marker `listeners` says. Versions that do not know `ends` publish all. */
export const LISTENED_FOR = {
  /** All of them. */
  all: '1',
  /**
   * All but those that a wait for a result does not need: that a new execution under a new key was queued, that it runs, and its
   * progress.
   */
  ends: 'e',
} as const;

/** How long a docket counts as listened to after the last renewal of the marker. */
export const LISTENER_TTL_MS = 30_000;
