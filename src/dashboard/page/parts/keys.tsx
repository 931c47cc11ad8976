/** The keys of the page: what they do, and a dialog that tells it. */
import { useEffect, useRef } from 'preact/hooks';
import { go } from '../lib/router.js';
import { Store, useStore } from '../lib/store.js';

/** A page, and the key that goes there after `g`. */
export interface KeyedPage {
  readonly path: string;
  readonly name: string;
  readonly key: string;
}

const isOpen = new Store(false);

/** Follows the keys until the returned function is called. */
export function followKeys(pages: readonly KeyedPage[]): () => void {
  let isGoing = false;
  const onKey = (event: KeyboardEvent) => {
    const isTyping = event.target instanceof HTMLElement && event.target.matches('input, select, textarea, dialog *');
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
    if (isGoing) {
      const page = pages.find(({ key }) => key === event.key);
      if (page) go([page.path].filter(Boolean));
    } else if (event.key === '/') {
      event.preventDefault();
      go(['executions', 'find']);
      setTimeout(() => document.getElementById('find-key')?.focus(), 50);
    } else if (event.key === '?') {
      isOpen.set(true);
    }
    isGoing = !isGoing && event.key === 'g';
  };
  addEventListener('keydown', onKey);
  return () => removeEventListener('keydown', onKey);
}

export function showKeys(): void {
  isOpen.set(true);
}

export function Keys({ pages }: { pages: readonly KeyedPage[] }) {
  const isShown = useStore(isOpen);
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (isShown) dialog.current?.showModal();
  }, [isShown]);
  if (!isShown) return null;
  return (
    <dialog ref={dialog} aria-labelledby="keys-title" onClose={() => isOpen.set(false)}>
      <h2 id="keys-title">Keys</h2>
      <dl class="keys">
        <Row keys={['/']} text="Find an execution" />
        {pages.map(({ key, name }) => (
          <Row key={key} keys={['g', key]} text={name} />
        ))}
        <Row keys={['?']} text="These keys" />
      </dl>
      <div class="buttons end">
        <button type="button" class="button" onClick={() => isOpen.set(false)}>
          Close
        </button>
      </div>
    </dialog>
  );
}

function Row({ keys, text }: { keys: readonly string[]; text: string }) {
  return (
    <div>
      <dt>
        {keys.map((key) => (
          <kbd key={key}>{key}</kbd>
        ))}
      </dt>
      <dd>{text}</dd>
    </div>
  );
}
