/** The strikes: lists them, adds one, restores one. */
import { useState } from 'preact/hooks';
import type { OperandJson, StrikeJson, StrikesJson, StrikeTermsJson, ValueJson } from '../../api.js';
import { act, useMayChange } from '../lib/act.js';
import { countText } from '../lib/format.js';
import { useData } from '../lib/use-data.js';
import { type Column, Table } from '../parts/table.js';
import { Button, Empty, Heading, Loading, Panel, Problem, Time } from '../parts/ui.js';

export function Strikes() {
  const mayChange = useMayChange();
  const { data, error } = useData<StrikesJson>('strikes');
  if (!data) return error ? <Problem error={error} isMinor={true} /> : <Loading />;
  const columns: readonly Column<StrikeJson>[] = [
    { name: 'Strike', kind: 'main', cell: ({ description }) => description },
    { name: 'Since', cell: ({ since }) => <Time at={since} /> },
  ];
  const restore: Column<StrikeJson> = {
    name: 'Restore',
    kind: 'actions',
    cell: ({ description, since: _, ...terms }) => (
      <Button kind="small" label={`Restore ${description}`} onClick={() => void act('restore', terms)}>
        Restore
      </Button>
    ),
  };
  return (
    <>
      <Heading title="Strikes" />
      <Problem error={error} isMinor={true} />
      {mayChange && <StrikeForm />}
      {data.strikes.length === 0 ? (
        <Empty title="Nothing is struck">
          A strike keeps work from running until it is restored: a task, a value of an argument, or both together.
          Executions that were added before are cancelled when a worker reads them. To keep them for later, pause their
          task instead.
        </Empty>
      ) : (
        <Table
          label="Strikes"
          columns={mayChange ? [...columns, restore] : columns}
          rows={data.strikes}
          keyOf={({ description: _, since: __, ...terms }) => JSON.stringify(terms)}
        />
      )}
      {data.total > data.strikes.length && (
        <p class="muted note">
          The first {countText(data.strikes.length)} of {countText(data.total)}.
        </p>
      )}
    </>
  );
}

const STRIKE_TEXT =
  'What is struck is not added, and what waits is cancelled when a worker takes it. To restore it does not bring that back.';

/** Makes a strike, after asking. Returns whether it was made. */
async function strike(terms: StrikeTermsJson, what: string): Promise<boolean> {
  return await act('strike', terms, {
    title: `Strike ${what}?`,
    text: STRIKE_TEXT,
    action: 'Strike',
    isDangerous: true,
  });
}

/** Strikes one value of an argument of a task. */
export function StrikeButton({ terms, text }: { terms: StrikeTermsJson; text: string }) {
  const what = strikeText(terms, text);
  return (
    <Button kind="small" label={`Strike ${what}`} onClick={() => void strike(terms, what)}>
      Strike
    </Button>
  );
}

/** Names what is struck, with the value as it was typed. */
function strikeText({ task, parameter, operator }: StrikeTermsJson, value: string): string {
  const whose = task === null ? 'any task' : task;
  return parameter === null ? `all of ${whose}` : `${whose} where ${parameter} ${operator} ${value}`;
}

const OPERATORS = ['==', '!=', '<', '<=', '>', '>=', 'between'] as const;

function StrikeForm() {
  const [problem, setProblem] = useState<Error | null>(null);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.target as HTMLFormElement;
    const given = Object.fromEntries(new FormData(form)) as Record<'task' | 'parameter' | 'operator' | 'value', string>;
    try {
      setProblem(null);
      const terms = termsOf(given);
      if (await strike(terms, strikeText(terms, given.value.trim()))) form.reset();
    } catch (error) {
      setProblem(error as Error);
    }
  };
  return (
    <Panel title="Strike">
      <form class="bar" onSubmit={(event) => void submit(event)}>
        <label>
          Task
          <input name="task" autoComplete="off" placeholder="any" />
        </label>
        <label>
          Argument
          <input name="parameter" autoComplete="off" placeholder="any" />
        </label>
        <label>
          Is
          <select name="operator">
            {OPERATORS.map((operator) => (
              <option key={operator}>{operator}</option>
            ))}
          </select>
        </label>
        <label class="grow">
          Value
          <input name="value" autoComplete="off" placeholder="c-1, 42, true; 1 and 9 for between" />
        </label>
        <button type="submit" class="button">
          Strike
        </button>
      </form>
      <Problem error={problem} isMinor={true} />
    </Panel>
  );
}

function termsOf(given: Record<'task' | 'parameter' | 'operator' | 'value', string>): StrikeTermsJson {
  const [task, parameter] = [given.task.trim() || null, given.parameter.trim() || null];
  if (task === null && parameter === null) throw new Error('Give a task, an argument or both.');
  if (parameter === null) return { task, parameter, operator: null };
  return { task, parameter, operator: given.operator, value: operandOf(given.operator, given.value.trim()) };
}

function operandOf(operator: string, text: string): OperandJson {
  if (operator !== 'between') return parsedValue(text);
  const [low, high, ...more] = text.split(/\s*(?:,|\band\b)\s*/);
  if (!low || !high || more.length > 0) throw new Error('Give two values, such as 1 and 9.');
  return [parsedValue(low), parsedValue(high)];
}

/** Reads a value as the command line does: JSON, or else text. A whole number keeps all its digits. */
function parsedValue(text: string): ValueJson {
  if (/^-?\d+$/.test(text)) return Number.isSafeInteger(Number(text)) ? Number(text) : { bigint: text };
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? text : (value as ValueJson);
  } catch {
    return text;
  }
}
