/** Facts about one thing, and longer texts. */
import type { ComponentChildren } from 'preact';
import type { ArgumentsJson } from '../../api.js';

export function Facts({ children }: { children: ComponentChildren }) {
  return <dl class="facts">{children}</dl>;
}

/** A fact; nothing when there is no value. */
export function Fact({ name, value }: { name: string; value: ComponentChildren }) {
  if (value === null || value === undefined || value === false || value === '') return null;
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

export function Text({ of, label }: { of: string; label: string }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
    <section class="text" tabIndex={0} aria-label={label}>
      <pre>{of}</pre>
    </section>
  );
}

/** Arguments; the names of those that may not be shown. */
export function Arguments({ of: { text, hidden } }: { of: ArgumentsJson }) {
  return (
    <>
      {text !== null && <Text of={text} label="Arguments as text" />}
      {hidden.length > 0 && (
        <p class="muted note">
          Not shown: <code>{hidden.join(', ')}</code>. Arguments may be private. The page shows those that the task
          names in <code>logged</code>; <code>docket dashboard --show-arguments</code> shows all.
        </p>
      )}
    </>
  );
}
