/** The small parts that all pages are made of. */
import type { ComponentChildren } from 'preact';
import type { PriorityJson, ProgressJson } from '../../api.js';
import { absoluteText, countText, relativeText } from '../lib/format.js';
import { clock, link, nowMs } from '../lib/live.js';
import { href } from '../lib/router.js';
import { useStore } from '../lib/store.js';

/** A time, relative to now; the absolute one in the viewer's zone comes with it. */
export function Time({ at, both = false }: { at: number | null; both?: boolean }) {
  useStore(clock);
  if (at === null) return <span class="muted">–</span>;
  const relative = relativeText(at, nowMs());
  return (
    <time dateTime={new Date(at).toISOString()} title={absoluteText(at)}>
      {both ? absoluteText(at) : relative}
      {both && <span class="muted"> · {relative}</span>}
    </time>
  );
}

export function State({ of }: { of: string }) {
  return <span class={`state state-${of}`}>{of}</span>;
}

/** A priority, unless it is normal or not known. */
export function Priority({ of }: { of: PriorityJson | null }) {
  if (of === null || of === 'normal') return null;
  return (
    <span class={`chip priority-${of}`} title={`${of} priority`}>
      {of}
    </span>
  );
}

export function KeyLink({ of }: { of: string | null }) {
  if (of === null) return <span class="muted">unknown key</span>;
  return (
    <a class="key" href={href(['execution', of])} title={of}>
      {of}
    </a>
  );
}

export function TaskName({ of }: { of: string | null }) {
  return of === null ? (
    <span class="muted">unknown</span>
  ) : (
    <a class="task" href={href(['tasks'], { task: of })}>
      {of}
    </a>
  );
}

export function ProgressBar({ of }: { of: ProgressJson | null }) {
  if (!of) return <span class="muted">–</span>;
  const share = of.total > 0 ? Math.min(1, of.current / of.total) : 0;
  const label = `${countText(of.current)} of ${countText(of.total)}`;
  return (
    <div class="progress">
      <progress value={share} max={1} aria-label={label} />
      <span class="progress-text">
        {label}
        {of.message !== null && <span class="muted"> · {of.message}</span>}
      </span>
    </div>
  );
}

/** Says that there is nothing, and what to do next. */
export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children && <p>{children}</p>}
    </div>
  );
}

/** A problem; with `isMinor`, only if it is not the one that the whole page tells already, that Redis or the server is away. */
export function Problem({ error, isMinor = false }: { error: Error | null; isMinor?: boolean }) {
  const isTold = ['down', 'offline'].includes(useStore(link)) && isMinor;
  if (!error || isTold) return null;
  return (
    <p class="callout fail" role="alert">
      {error.message}
    </p>
  );
}

export function Panel(props: { title: string; aside?: ComponentChildren; children: ComponentChildren }) {
  return (
    <section class="panel">
      <header>
        <h2>{props.title}</h2>
        {props.aside}
      </header>
      {props.children}
    </section>
  );
}

export function Heading({ title, children }: { title: ComponentChildren; children?: ComponentChildren }) {
  return (
    <div class="heading">
      <h1>{title}</h1>
      {children && <div class="buttons">{children}</div>}
    </div>
  );
}

interface ButtonProps {
  readonly onClick: () => void;
  readonly kind?: 'primary' | 'danger' | 'small';
  readonly isDisabled?: boolean;
  readonly label?: string;
  readonly children: ComponentChildren;
}

export function Button({ onClick, kind, isDisabled = false, label, children }: ButtonProps) {
  const named = label === undefined ? {} : { 'aria-label': label };
  return (
    <button type="button" class={`button ${kind ?? ''}`} disabled={isDisabled} onClick={onClick} {...named}>
      {children}
    </button>
  );
}

export function Loading() {
  return <output class="loading">Loading …</output>;
}

interface ChoiceProps {
  readonly label: string;
  readonly options: readonly (readonly [name: string, value: number])[];
  readonly chosen: number;
  readonly onChoose: (value: number) => void;
}

/** A few options, one of which is chosen. */
export function Choice({ label, options, chosen, onChoose }: ChoiceProps) {
  return (
    <fieldset class="choice">
      <legend class="hidden">{label}</legend>
      {options.map(([name, value]) => (
        <button key={name} type="button" aria-pressed={chosen === value} onClick={() => onChoose(value)}>
          {name}
        </button>
      ))}
    </fieldset>
  );
}
