/** Cancels all executions that a search looks for: counts them first, asks, and then cancels them in steps. */
import { useEffect, useRef, useState } from 'preact/hooks';
import type { CountJson, ExecutionFilterJson } from '../../api.js';
import { isConfirmed, notify, useMayChange } from '../lib/act.js';
import { change, get } from '../lib/api.js';
import { countText, plural } from '../lib/format.js';
import { Button } from './ui.js';

type Sought = Required<ExecutionFilterJson>;

const ENDED: readonly string[] = ['completed', 'failed', 'cancelled'];

export function CancelAll({ of }: { of: Sought }) {
  const mayChange = useMayChange();
  const [text, setText] = useState<string | null>(null);
  const going = useRef<AbortController | null>(null);
  useEffect(() => () => going.current?.abort(), []);
  if (!mayChange || ENDED.includes(of.state) || (of.task === '' && of.where === '')) return null;
  const run = async () => {
    const stopping = new AbortController();
    going.current = stopping;
    try {
      const count = await countAll(of, stopping.signal, setText);
      setText(null);
      if (count === 0) notify('There is nothing to cancel.', false);
      else if (await isConfirmed(questionOf(of, count))) await cancelAll(of, stopping.signal, setText);
    } catch (error) {
      if (!stopping.signal.aborted) notify((error as Error).message, true);
    }
    setText(null);
  };
  if (text === null) return <Button onClick={() => void run()}>Cancel all that match</Button>;
  return (
    <>
      <output class="muted">{text}</output>
      <Button label="Stop cancelling" onClick={() => going.current?.abort()}>
        Stop
      </Button>
    </>
  );
}

function questionOf({ task, state, where }: Sought, count: number) {
  const of = [state || 'not ended', task && `task ${task}`, where].filter(Boolean).join(', ');
  return {
    title: `Cancel ${plural(count, 'execution')}?`,
    text: `All that match are cancelled (${of}), also those that are added until it is done. What has not started is removed, and what runs is asked to stop.`,
    action: 'Cancel all',
    isDangerous: true,
  };
}

type Tell = (text: string) => void;

async function countAll(of: Sought, signal: AbortSignal, tell: Tell): Promise<number> {
  let [count, lookedAt] = [0, 0];
  for (let after: string | null | undefined; after !== null; ) {
    tell(`Counting … ${countText(count)} of ${countText(lookedAt)}`);
    const page: CountJson = await get('count', { ...of, after }, signal);
    count += page.count;
    lookedAt += page.lookedAt;
    after = page.next;
  }
  return count;
}

async function cancelAll({ task, state, where }: Sought, signal: AbortSignal, tell: Tell): Promise<void> {
  const filter: ExecutionFilterJson = { ...(task && { task }), ...(state && { state }), ...(where && { where }) };
  let sum = 0;
  for (let isMore = true; isMore && !signal.aborted; ) {
    tell(`Cancelling … ${countText(sum)} so far`);
    const changed = await change('cancel-many', filter);
    sum += changed.cancelled ?? 0;
    isMore = changed.isMore ?? false;
    if (!isMore) notify(sum === changed.cancelled ? changed.message : `Cancelled ${plural(sum, 'execution')}.`, false);
  }
}
