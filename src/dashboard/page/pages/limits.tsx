/** The concurrency limits in use: who holds their permits, and who waits. */
import type { LimitJson, LimitsJson } from '../../api.js';
import { countText } from '../lib/format.js';
import { useData } from '../lib/use-data.js';
import { Empty, Heading, KeyLink, Loading, Problem, Time } from '../parts/ui.js';

export function Limits() {
  const { data, error } = useData<LimitsJson>('limits');
  if (!data) return error ? <Problem error={error} isMinor={true} /> : <Loading />;
  return (
    <>
      <Heading title="Limits" />
      <Problem error={error} isMinor={true} />
      {data.limits.length === 0 && (
        <Empty title="No limit is in use">
          A limit that a task declares with <code>concurrencyLimit(…)</code> appears here while executions hold its
          permits.
        </Empty>
      )}
      {data.limits.map((limit) => (
        <Limit key={limit.name} of={limit} />
      ))}
    </>
  );
}

function Limit({ of }: { of: LimitJson }) {
  const { description, max, taken, waiting, holders, waiters } = of;
  const isFull = max !== null && taken >= max;
  return (
    <section class="panel limit">
      <header>
        <h2>{description}</h2>
        <span>
          <span class={`chip ${isFull ? 'warn' : ''}`}>
            {countText(taken)} of {max === null ? '?' : countText(max)} taken
          </span>{' '}
          {waiting > 0 && <span class="chip">{countText(waiting)} waiting</span>}
        </span>
      </header>
      {max !== null && max > 0 && (
        <progress value={Math.min(1, taken / max)} max={1} aria-label={`${taken} of ${max} permits taken`} />
      )}
      <div class="columns">
        <div>
          <h3>Holders</h3>
          <ul class="plain-list">
            {holders.map(({ key, worker, since }) => (
              <li key={key}>
                <KeyLink of={key} />
                <span class="muted">
                  {' '}
                  {worker ?? 'not taken yet'} {since !== null && <Time at={since} />}
                </span>
              </li>
            ))}
          </ul>
          {taken > holders.length && <p class="muted note">and {countText(taken - holders.length)} more</p>}
        </div>
        <div>
          <h3>Next in line</h3>
          {waiters.length === 0 && <p class="muted">No execution waits.</p>}
          <ol class="plain-list">
            {waiters.map(({ key, since }) => (
              <li key={key}>
                <KeyLink of={key} />{' '}
                <span class="muted">
                  due <Time at={since} />
                </span>
              </li>
            ))}
          </ol>
          {waiting > waiters.length && <p class="muted note">and {countText(waiting - waiters.length)} more</p>}
        </div>
      </div>
    </section>
  );
}
