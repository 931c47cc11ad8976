/** Changes that a person makes: asks first where much is at stake, and says what came of it. */
import { useEffect, useRef } from 'preact/hooks';
import { change, session } from './api.js';
import { Store, useStore } from './store.js';

interface Question {
  readonly title: string;
  readonly text: string;
  readonly action: string;
  readonly isDangerous?: boolean;
}

interface Asked extends Question {
  readonly answer: (isConfirmed: boolean) => void;
}

interface Notice {
  readonly id: number;
  readonly text: string;
  readonly isError: boolean;
}

const asked = new Store<Asked | null>(null);
const notices = new Store<readonly Notice[]>([]);
let lastId = 0;
const SHOWN_FOR_MS = 6_000;

/** Makes a change; with a question only if it is confirmed. Returns whether it was made. */
export async function act(name: string, body: object, question?: Question): Promise<boolean> {
  if (question && !(await isConfirmed(question))) return false;
  try {
    notify((await change(name, body)).message, false);
    return true;
  } catch (error) {
    notify((error as Error).message, true);
    return false;
  }
}

/** Whether changes can be made. */
export function useMayChange(): boolean {
  return useStore(session)?.isReadOnly === false;
}

/** Asks a person whether to go on. */
export function isConfirmed(question: Question): Promise<boolean> {
  return new Promise((resolve) => {
    asked.set({
      ...question,
      answer: (answer) => {
        asked.set(null);
        resolve(answer);
      },
    });
  });
}

export function notify(text: string, isError: boolean): void {
  lastId += 1;
  const id = lastId;
  notices.set([...notices.value.slice(-3), { id, text, isError }]);
  setTimeout(() => dismiss(id), isError ? 2 * SHOWN_FOR_MS : SHOWN_FOR_MS);
}

function dismiss(id: number): void {
  notices.set(notices.value.filter((notice) => notice.id !== id));
}

export function Dialog() {
  const question = useStore(asked);
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (question) dialog.current?.showModal();
  }, [question]);
  if (!question) return null;
  const { title, text, action, isDangerous = false, answer } = question;
  return (
    <dialog ref={dialog} aria-labelledby="dialog-title" onClose={() => answer(false)}>
      <h2 id="dialog-title">{title}</h2>
      <p>{text}</p>
      <div class="buttons end">
        <button type="button" class="button" onClick={() => answer(false)}>
          Keep as it is
        </button>
        <button type="button" class={isDangerous ? 'button danger' : 'button primary'} onClick={() => answer(true)}>
          {action}
        </button>
      </div>
    </dialog>
  );
}

export function Notices() {
  const shown = useStore(notices);
  return (
    <output class="notices">
      {shown.map(({ id, text, isError }) => (
        <div key={id} class={isError ? 'notice error' : 'notice'}>
          <span>{text}</span>
          <button type="button" class="plain" aria-label="Dismiss" onClick={() => dismiss(id)}>
            ×
          </button>
        </div>
      ))}
    </output>
  );
}
