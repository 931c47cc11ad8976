/** One execution: all that is known of it. */
import type { ComponentChildren } from 'preact';
import type { ExecutionJson } from '../../api.js';
import { useMayChange } from '../lib/act.js';
import { plural, spanText } from '../lib/format.js';
import { live } from '../lib/live.js';
import { href } from '../lib/router.js';
import { useStore } from '../lib/store.js';
import { useData } from '../lib/use-data.js';
import { Arguments, Fact, Facts, Text } from '../parts/facts.js';
import { CancelButton, RunNowButton } from '../parts/running.js';
import { Empty, Heading, Loading, Panel, ProgressBar, State, TaskName, Time } from '../parts/ui.js';

export function Execution({ id }: { id: string }) {
  const { data, error } = useData<ExecutionJson>('execution', { key: id }, 1_000);
  if (!data && !error) return <Loading />;
  if (!data) {
    return (
      <>
        <Heading title={<span class="key">{id}</span>} />
        <Empty title="Nothing is known of it">
          {error!.message} <a href={href(['executions', 'find'])}>Find another</a>
        </Empty>
      </>
    );
  }
  return <Details of={data} />;
}

function Details({ of }: { of: ExecutionJson }) {
  const mayChange = useMayChange();
  const hasEnded = of.place === 'ended';
  return (
    <>
      <Heading
        title={
          <>
            <span class="key">{of.key}</span> <State of={of.state} />
          </>
        }
      >
        {mayChange && of.place === 'schedule' && <RunNowButton of={of.key} />}
        {mayChange && !hasEnded && <CancelButton of={of.key} isRunning={of.state === 'running'} />}
      </Heading>
      <div class="columns">
        <Panel title="What is known">
          <ExecutionFacts of={of} />
        </Panel>
        <Panel title="History">
          <ol class="timeline">
            {of.history.map(({ at, kind, attempt, worker, detail }, i) => (
              <li key={i} class={`event-${kind}`}>
                <strong>{kind}</strong> <Time at={at} both={true} />
                <span class="muted">
                  {attempt !== null && ` · attempt ${attempt}`}
                  {worker !== null && ` · ${worker}`}
                </span>
                {detail !== null && <div class="detail">{detail}</div>}
              </li>
            ))}
          </ol>
        </Panel>
      </div>
      {of.args && (
        <Panel title="Arguments">
          <Arguments of={of.args} />
        </Panel>
      )}
      {of.result !== null && (
        <Panel title="Result">
          <Text of={of.result} label="Result as text" />
        </Panel>
      )}
      {of.error !== null && (
        <Panel title={of.state === 'failed' ? 'Error' : 'Reason'}>
          <Text of={of.error} label="Error as text" />
        </Panel>
      )}
      {of.unknown.map((text) => (
        <p key={text} class="muted note">
          Not known: {text}.
        </p>
      ))}
    </>
  );
}

function ExecutionFacts({ of }: { of: ExecutionJson }) {
  const running = useStore(live)?.running.find(({ key }) => key === of.key);
  const progress = running?.progress ?? of.progress;
  const tookMs = of.startedAt !== null && of.completedAt !== null ? of.completedAt - of.startedAt : null;
  const facts: readonly (readonly [string, ComponentChildren])[] = [
    ['Task', <TaskName of={of.task} />],
    ['Place', `${PLACES[of.place] ?? of.place}${of.isCancelled ? ', asked to stop' : ''}`],
    ['Progress', progress && <ProgressBar of={progress} />],
    ['Priority', of.priority],
    ['Attempt', of.attempt],
    ['Worker', of.worker],
    ['Due', of.when !== null && <Time at={of.when} both={true} />],
    ['Leaves the schedule', of.scheduledFor !== null && <Time at={of.scheduledFor} both={true} />],
    ['Took', tookMs !== null && spanText(tookMs)],
    ['Waits for', of.waitsFor && waitText(of.waitsFor)],
    [
      'Holds',
      of.holds.length > 0 && of.holds.map(({ description, max }) => `${description} (${max} at once)`).join(', '),
    ],
    ['Lost', of.deliveries > 0 && plural(of.deliveries, 'time')],
    ['Kept until', of.expiresAt !== null && <Time at={of.expiresAt} both={true} />],
  ];
  return (
    <Facts>
      {facts.map(([name, value]) => (
        <Fact key={name} name={name} value={value} />
      ))}
    </Facts>
  );
}

const PLACES: Readonly<Record<string, string>> = {
  schedule: 'on the schedule',
  line: 'in line',
  backlog: 'due, not taken by a worker yet',
  worker: 'with a worker',
  ended: 'ended',
  lost: 'nowhere: workers mend that within minutes',
};

function waitText({ description, kind, ahead }: NonNullable<ExecutionJson['waitsFor']>): string {
  const kinds: Readonly<Record<string, string>> = { permit: 'a permit', rate: 'its turn', debounce: 'the debounce' };
  return `${kinds[kind] ?? kind} of limit ${description}${ahead === null ? '' : `, ${ahead} ahead`}`;
}
