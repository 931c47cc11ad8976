/** One failure: its error with the stack, its arguments, and where it failed. */
import type { FailureJson } from '../../api.js';
import { act, useMayChange } from '../lib/act.js';
import { go, href } from '../lib/router.js';
import { useData } from '../lib/use-data.js';
import { Arguments, Fact, Facts, Text } from '../parts/facts.js';
import { Button, Empty, Heading, KeyLink, Loading, Panel, TaskName, Time } from '../parts/ui.js';

export function Failure({ id }: { id: string }) {
  const { data, error } = useData<FailureJson>('failure', { id }, 0);
  if (!data && !error) return <Loading />;
  if (!data) {
    return (
      <>
        <Heading title="Failure" />
        <Empty title="There is no such failure">
          {error!.message} <a href={href(['failures'])}>All failures</a>
        </Empty>
      </>
    );
  }
  return <Details of={data} />;
}

function Details({ of }: { of: FailureJson }) {
  const mayChange = useMayChange();
  const discard = async () => {
    const text = 'It is removed for good, with its arguments.';
    const question = { title: 'Discard this failure?', text, action: 'Discard', isDangerous: true };
    if (await act('discard', { ids: [of.id] }, question)) go(['failures']);
  };
  const retry = async () => {
    if (await act('retry', { ids: [of.id] })) go(of.key === null ? ['failures'] : ['execution', of.key]);
  };
  return (
    <>
      <Heading title={<span class="key">{of.key ?? of.id}</span>}>
        {mayChange && (
          <>
            <Button kind="primary" onClick={() => void retry()}>
              Retry
            </Button>
            <Button onClick={() => void discard()}>Discard</Button>
          </>
        )}
      </Heading>
      <Panel title={of.kind === 'quarantined' ? 'It can never run as it is' : 'Failure'}>
        <Facts>
          <Fact name="Execution" value={<KeyLink of={of.key} />} />
          <Fact name="Task" value={<TaskName of={of.task} />} />
          <Fact name="Priority" value={of.priority} />
          <Fact name="Attempts" value={of.attempts} />
          <Fact name="Deliveries lost" value={of.deliveries > 0 && of.deliveries} />
          <Fact name="Worker" value={of.worker} />
          <Fact name="Thread" value={of.thread} />
          <Fact name="Added" value={of.addedAt !== null && <Time at={of.addedAt} both={true} />} />
          <Fact name="Last attempt started" value={of.startedAt !== null && <Time at={of.startedAt} both={true} />} />
          <Fact name="Failed" value={<Time at={of.failedAt} both={true} />} />
        </Facts>
      </Panel>
      <Panel title="Error">
        <Text of={of.error ?? of.errorLine} label="Error as text" />
      </Panel>
      {of.args && (
        <Panel title="Arguments">
          <Arguments of={of.args} />
        </Panel>
      )}
    </>
  );
}
