// Finds out which test runs which statement of which Lua file, by one run of the suite with marked scripts.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join, relative } from 'node:path';
import { marked } from './mutations.js';
import { COPY, FOLDER, luaFiles, makeCopy, runTests, scriptsOf, writeScripts } from './sandbox.js';

const KEPT = join(FOLDER, 'coverage.json');
const NOTES = join(FOLDER, 'notes');

/**
 * Returns the tests, each with the time that it took (ms) and the names of the statements that it runs (`ran`). With
 * `isFresh`, this is found out anew for some files of tests, or for all.
 */
export async function coverage({ isFresh, files }) {
  const kept = existsSync(KEPT) ? readKept() : null;
  if (kept && !isFresh) return kept;
  makeCopy();
  const places = writeMarkedScripts();
  rmSync(NOTES, { recursive: true, force: true });
  mkdirSync(NOTES, { recursive: true });
  await runTests([...(files.length > 0 ? files : filesOnRedis()), '--maxWorkers', '2'], {
    MUTANTS_NOTES: NOTES,
    MUTANTS_REDIS: redisServer(),
    PATH: `${join(COPY, 'tools/mutants/recording')}${delimiter}${process.env.PATH}`,
  });
  const others = files.length > 0 ? (kept ?? []).filter(({ file }) => !files.includes(file)) : [];
  const tests = [...others, ...evaluate(places)];
  keep(tests);
  return tests;
}

/** Names are kept once, and numbers in their place. */
function keep(tests) {
  const numbers = new Map();
  const numberOf = (name) => numbers.get(name) ?? numbers.set(name, numbers.size).get(name);
  const numbered = tests.map((test) => ({ ...test, ran: test.ran.map(numberOf) }));
  writeFileSync(KEPT, JSON.stringify({ names: [...numbers.keys()], tests: numbered }));
}

function readKept() {
  const { names, tests } = JSON.parse(readFileSync(KEPT, 'utf8'));
  return tests.map((test) => ({ ...test, ran: test.ran.map((number) => names[number]) }));
}

/** Marks each statement with a number, and lets each script log the numbers that it met. Returns the places by number. */
function writeMarkedScripts() {
  const places = [];
  const files = new Map();
  for (const [file, source] of luaFiles) {
    files.set(
      file,
      marked(source, (name) => `ARGV.ran[${places.push(`${file} ${name}`) - 1}]=1 `),
    );
  }
  const finish = (script) =>
    [
      'ARGV.ran = {}',
      `local function marked_script()\n${script}\nend`,
      'local results = { pcall(marked_script) }',
      'local numbers = {}',
      'for number in pairs(ARGV.ran) do numbers[#numbers + 1] = number end',
      "redis.log(redis.LOG_WARNING, 'RAN ' .. table.concat(numbers, ','))",
      'if results[1] then return results[2] end',
      'error(results[2], 0)',
    ].join('\n');
  writeScripts(scriptsOf(files, finish));
  return places;
}

/** The files of tests of behaviour that have a Redis. */
function filesOnRedis() {
  return readdirSync(join(COPY, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((file) => /^(?:behaviour|fundamentals)\b.*\.test\.ts$/.test(file) && !/failover/.test(file))
    .map((file) => `test/${file}`)
    .filter((file) => /support\/(?:fleet|suites|servers|stage)\.js/.test(readFileSync(join(COPY, file), 'utf8')));
}

function redisServer() {
  const folder = process.env.PATH.split(delimiter).find((one) => existsSync(join(one, 'redis-server')));
  if (!folder) throw new Error('redis-server is not installed');
  return join(folder, 'redis-server');
}

function evaluate(places) {
  const tests = [];
  const names = readdirSync(NOTES);
  for (const name of names.filter((one) => one.startsWith('tests-'))) {
    const [, process] = /^tests-(\d+)/.exec(name);
    const spans = spansOf(join(NOTES, name));
    const logs = names.filter((one) => one.startsWith(`redis-${process}-`)).flatMap((one) => runsOf(join(NOTES, one)));
    for (const span of spans) {
      const ran = new Set();
      for (const { at, numbers } of logs) {
        // What a file prepares for all of its tests is theirs, too.
        const isOfTest = at >= span.from && at <= span.to;
        const isOfFile =
          at >= span.fileFrom && at <= span.fileTo && !spans.some((one) => at >= one.from && at <= one.to);
        if (isOfTest || isOfFile) for (const number of numbers) ran.add(places[number]);
      }
      if (ran.size === 0 || span.state === 'fail') continue;
      tests.push({ file: span.file, name: span.name, ms: span.to - span.from, ran: [...ran] });
    }
  }
  return tests;
}

/** The tests that one process has run, each with its time and that of its file. */
function spansOf(path) {
  const spans = [];
  let open;
  let fileFrom = 0;
  let ofFile = [];
  for (const line of readFileSync(path, 'utf8').trim().split('\n')) {
    const event = JSON.parse(line);
    if (event.test) open = { file: relative(COPY, event.file), name: event.test, from: event.at, fileFrom };
    else if (event.ended && open) {
      ofFile.push(open);
      spans.push(Object.assign(open, { to: event.at, state: event.state }));
      open = undefined;
    } else if (event.over) {
      for (const span of ofFile) span.fileTo = event.at;
      ofFile = [];
    } else if (!event.ended) fileFrom = event.at;
  }
  for (const span of ofFile) span.fileTo = span.to;
  return spans;
}

/** What the scripts of one server have logged. */
function runsOf(path) {
  const runs = [];
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    const [, time, numbers] = /^\d+:\w (\d+ \w+ \d+ [\d:.]+) # RAN (.*)$/.exec(line) ?? [];
    if (numbers) runs.push({ at: Date.parse(time), numbers: numbers.split(',').map(Number) });
  }
  return runs;
}
