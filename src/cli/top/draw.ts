/** Draws a picture of a docket as lines of text that fit into a terminal. */
import { styleText } from 'node:util';
import Table from 'cli-table3';
import type { HistoryMinute, Percentiles } from '../../tasks/history.js';
import type { ProgressSummary } from '../../tasks/summary.js';
import { countText, printable, spanText } from '../output.js';
import { sparkline } from '../sparkline.js';
import { LISTED_EXECUTIONS, MINUTES, type Picture } from './picture.js';

export interface DrawOptions {
  /** Which docket it is, for the first line. */
  readonly title: string;
  /** Shown in the first line instead of the time: why the picture is old. */
  readonly problem: string | null;
  readonly columns: number;
  /** The lines there is room for; infinite when nobody counts them. */
  readonly rows: number;
  readonly hasColours: boolean;
}

/** A line before it is cut. Its style covers all of it, so that cutting it cannot break an escape sequence. */
interface Line {
  readonly text: string;
  readonly style?: 'bold' | 'red' | 'inverse';
}

/** A table of which as many rows are shown as there is room for. */
interface List {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** How many rows are never listed, even with room for them. */
  readonly unlisted: number;
  readonly noun: string;
}

/** The maximum number of rows of a list. */
const MAX_ROWS = 20;

export function draw(picture: Picture, options: DrawOptions): string {
  const { columns, rows, hasColours } = options;
  const top = [...heading(picture, options), ...rates(picture)];
  const lists = [taskList(picture), executionList(picture), workerList(picture)].filter((list) => list.rows.length > 0);
  const room = allot(lists, rows - top.length);
  const lines = [...top, ...lists.flatMap((list, i) => listLines(list, room[i]!))].slice(0, Math.max(1, rows));
  return lines.map(({ text, style }) => styled(cut(text, columns), hasColours ? style : undefined)).join('\n');
}

function heading({ taken, totals, oldestQueuedMs }: Picture, { title, problem }: DrawOptions): Line[] {
  const { queued, scheduled, waiting, paused, running, failures } = totals;
  const age = queued > 0 ? ` (oldest due for ${spanText(oldestQueuedMs)})` : '';
  const counts = [`queued ${queued}${age}`, `scheduled ${scheduled}`, `waiting ${waiting}`, `running ${running}`];
  return [
    problem === null
      ? { text: `${title}  ${taken.toISOString().slice(0, 19)}Z`, style: 'bold' }
      : { text: `${printable(problem)}; this is of ${taken.toISOString().slice(0, 19)}Z  ${title}`, style: 'red' },
    {
      text: [
        ...counts,
        ...(paused > 0 ? [`paused ${paused}`] : []),
        ...(failures > 0 ? [`failures kept ${failures}`] : []),
      ].join('   '),
    },
  ];
}

const COUNTS = ['started', 'succeeded', 'retried', 'failed'] as const;

/** The last minutes, minute by minute, and the times of the last one in which an attempt ended. */
function rates({ taken, minutes }: Picture): Line[] {
  const lines = COUNTS.map((count): Line => {
    const values = minutes.map((minute) => minute[count]);
    const sum = values.reduce((total, value) => total + value, 0);
    const text = `${count.padEnd(10)}${sparkline(values)}  ${rateText(values, taken.getTime() - minutes.at(-1)!.at.getTime())}  ${sum} in ${MINUTES} minutes`;
    return count === 'failed' && sum > 0 ? { text, style: 'red' } : { text };
  });
  const last = minutes.findLast(({ duration }) => duration !== null);
  return [{ text: '' }, ...lines, ...(last ? [timesLine(last)] : [])];
}

/** The rate of the last whole minute and the present one together, so that a change shows at once. */
function rateText(values: readonly number[], presentMs: number): string {
  const minutes = 1 + Math.min(Math.max(presentMs / 60_000, 0), 1);
  const count = (values.at(-2) ?? 0) + (values.at(-1) ?? 0);
  return `${Math.round(count / minutes)} a minute`.padEnd(14);
}

function timesLine({ waiting, duration }: HistoryMinute): Line {
  return { text: `waited ${percentilesText(waiting)}   took ${percentilesText(duration)}   (p50 p95 p99)` };
}

function percentilesText(percentiles: Percentiles | null): string {
  if (percentiles === null) return '-';
  return [percentiles.p50Ms, percentiles.p95Ms, percentiles.p99Ms].map(spanText).join(' ');
}

/** The tasks, those first that run, then those that have run most. */
function taskList({ taken, tasks, running, totals }: Picture): List {
  const since = new Map<string, number[]>();
  for (const { task, since: startedAt } of running) {
    const spans = since.get(task) ?? [];
    since.set(task, spans);
    spans.push(startedAt ? taken.getTime() - startedAt.getTime() : 0);
  }
  const stats = new Map(tasks.map((one) => [one.task, one]));
  const names = [...new Set([...since.keys(), ...stats.keys()])];
  const order = (name: string) => [since.get(name)?.length ?? 0, stats.get(name)?.started ?? 0] as const;
  names.sort((a, b) => order(b)[0] - order(a)[0] || order(b)[1] - order(a)[1]);
  // Executions that started or ended while the picture was taken are no reason to doubt the list.
  const isWhole = running.length >= totals.running || running.length < LISTED_EXECUTIONS;
  return {
    head: [
      'task',
      isWhole ? 'running' : `of ${running.length}`,
      'longest',
      'started',
      'failed',
      'waited p95',
      'took p95',
      '',
    ],
    rows: names.map((name) => {
      const [spans = [], one] = [since.get(name), stats.get(name)];
      const longestMs = Math.max(0, ...spans);
      return [
        shortened(name, 30),
        spans.length > 0 ? String(spans.length) : '',
        longestMs > 0 ? spanText(longestMs) : '',
        String(one?.started ?? 0),
        String(one?.failed ?? 0),
        one?.waiting ? spanText(one.waiting.p95Ms) : '',
        one?.duration ? spanText(one.duration.p95Ms) : '',
        one ? sparkline(one.startedByMinute) : '',
      ];
    }),
    unlisted: 0,
    noun: 'task',
  };
}

function executionList({ taken, running, totals }: Picture): List {
  const rows = running.map(({ key, task, worker, since, attempt, progress }) => [
    shortened(key, 36),
    shortened(task, 24),
    shortened(worker, 24),
    since ? spanText(taken.getTime() - since.getTime()) : '',
    attempt > 1 ? `attempt ${attempt}` : '',
    progressText(progress),
  ]);
  const unlisted = Math.max(0, totals.running - running.length);
  return { head: ['running', 'task', 'worker', 'for', '', 'progress'], rows, unlisted, noun: 'execution' };
}

function progressText(progress: ProgressSummary | null): string {
  if (progress === null) return '';
  const { current, total, message } = progress;
  const share = Math.max(0, Math.min(1, current / total));
  const filled = Math.floor(share * BAR_WIDTH);
  const bar = '█'.repeat(filled) + '░'.repeat(BAR_WIDTH - filled);
  return `${bar} ${String(Math.floor(share * 100)).padStart(3)}%${message === null ? '' : ` ${shortened(message, 40)}`}`;
}

const BAR_WIDTH = 16;

function workerList({ taken, workers }: Picture): List {
  const rows = workers.map(({ name, threads, running, concurrency, lastSeen }) => {
    const load = Math.round((100 * running) / Math.max(1, concurrency));
    const seen = `${spanText(taken.getTime() - lastSeen.getTime())} ago`;
    return [shortened(name, 36), String(threads), `${running} of ${concurrency}`, `${load}%`, seen];
  });
  return { head: ['worker', 'threads', 'has', 'load', 'last seen'], rows, unlisted: 0, noun: 'worker' };
}

/** Shares the lines among lists, one row after the other, so that a short list is whole and long ones get as much each. */
function allot(lists: readonly List[], lines: number): number[] {
  const room = lists.map(() => 0);
  let left = lines - lists.length * LINES_OF_A_LIST;
  for (let isAny = true; isAny && left > 0; ) {
    isAny = false;
    for (const [i, list] of lists.entries()) {
      if (left <= 0 || room[i]! >= Math.min(MAX_ROWS, list.rows.length)) continue;
      room[i]! += 1;
      left -= 1;
      isAny = true;
    }
  }
  return room;
}

/** An empty line, the head, and the line about what is not shown. */
const LINES_OF_A_LIST = 3;

function listLines({ head, rows, unlisted, noun }: List, room: number): Line[] {
  const table = new Table({ head: [...head], chars: NO_BORDERS, style: { head: [], border: [], 'padding-left': 0 } });
  for (const row of rows.slice(0, room)) table.push([...row]);
  const [first = '', ...others] = table.toString().split('\n');
  const more = rows.length - Math.min(room, rows.length) + unlisted;
  const lines: Line[] = [{ text: '' }, { text: first, style: 'inverse' }, ...others.map((text) => ({ text }))];
  return more > 0 ? [...lines, { text: `and ${countText(more, `more ${noun}`)}` }] : lines;
}

const NO_BORDERS = Object.fromEntries(
  ['top', 'bottom', 'left', 'right', 'mid', 'middle'].flatMap((side) =>
    ['', '-mid', '-left', '-right'].map((part) => [`${side}${part}`, ''] as const),
  ),
);

function shortened(text: string, length: number): string {
  return cut(printable(text), length);
}

function cut(text: string, length: number): string {
  if (text.length <= length) return text.trimEnd();
  const characters = [...text];
  return characters.length > length ? `${characters.slice(0, length - 1).join('')}…` : text.trimEnd();
}

function styled(text: string, style: Line['style']): string {
  return style === undefined ? text : styleText(style, text, { validateStream: false });
}
