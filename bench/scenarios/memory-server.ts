/**
 * How much slower is `memory://` than a redis-server?
 *
 * Producer and worker share a process, with `threads: 0`, on either server. The first tenth of the tasks is added and run
 * before the clock starts, so that no boot and no compilation counts. Every execution is counted.
 */
import type { AloneAnswer, DocketAloneSettings } from '../peers/docket-alone.js';
import { Peer } from '../support/peer.js';
import type { BenchRedis } from '../support/redis-server.js';
import { compare, type Report } from '../support/report.js';
import { interleave, problemsOf, WARM_UP } from '../support/rounds.js';
import { spread } from '../support/stats.js';
import { KEPT_MS } from './enqueue.js';

interface Contender {
  readonly name: string;
  readonly server: 'memory' | 'redis';
  readonly executionTtl: number;
}

const CONTENDERS: readonly Contender[] = [
  { name: 'memory://, fire-and-forget', server: 'memory', executionTtl: 0 },
  { name: 'redis-server, fire-and-forget', server: 'redis', executionTtl: 0 },
  { name: 'memory://, tracked 15 min', server: 'memory', executionTtl: KEPT_MS },
  { name: 'redis-server, tracked 15 min', server: 'redis', executionTtl: KEPT_MS },
];
/** What `memory://` must reach of a redis-server, so that the README's "an order of magnitude slower" holds. */
const LEAST_SHARE = 0.1;

interface MemoryServerOptions {
  readonly tasks: number;
  readonly rounds: number;
}

export async function memoryServer(redis: BenchRedis, { tasks, rounds }: MemoryServerOptions): Promise<Report> {
  const runs = await interleave('memory-server', CONTENDERS, rounds, (contender) => runOnce(redis, contender, tasks));
  const perSecond = (name: string, of: 'addMs' | 'runMs') => runs.get(name)!.map((run) => tasks / (run[of] / 1e3));
  const verdicts = [0, 2].flatMap((i) => {
    const [ours, theirs] = [CONTENDERS[i]!.name, CONTENDERS[i + 1]!.name];
    return (['addMs', 'runMs'] as const).map((of) =>
      compare(
        `${of === 'addMs' ? 'adds' : 'runs'}: ${ours} / redis-server`,
        perSecond(ours, of),
        perSecond(theirs, of),
        LEAST_SHARE,
      ),
    );
  });
  return {
    scenario: 'memory-server',
    tables: [
      {
        title: 'memory-server: one process adds no-op tasks with addMany and then runs them (threads: 0)',
        rows: CONTENDERS.map(({ name }) => {
          const [adds, ran] = [spread(perSecond(name, 'addMs')), spread(perSecond(name, 'runMs'))];
          return { contender: name, tasks, 'adds/s': adds.median, 'runs/s': ran.median, min: ran.min, max: ran.max };
        }),
      },
    ],
    verdicts,
    problems: problemsOf(runs),
  };
}

async function runOnce(redis: BenchRedis, { server, executionTtl }: Contender, tasks: number): Promise<AloneAnswer> {
  await redis.reset();
  const settings: DocketAloneSettings = { url: server === 'redis' ? redis.url : 'memory://bench', executionTtl };
  const peer = await Peer.start('docket-alone', settings);
  await peer.request({ tasks: Math.ceil(tasks * WARM_UP) });
  const answer = await peer.request<AloneAnswer>({ tasks });
  await peer.stop();
  return answer;
}
