/** Where `docket top` shows its pictures: redrawn in place on a terminal, one after the other elsewhere, or as JSON. */
import { createLogUpdate } from 'log-update';
import { hasColours, print, printJson } from '../output.js';
import { draw } from './draw.js';
import type { Picture } from './picture.js';

export interface Screen {
  /** @param problem - why the picture is an old one; `null` when it is of now */
  show(picture: Picture, problem: string | null): void;
  /** Leaves the terminal as it was, with the last picture on it. */
  close(): void;
}

/** Columns of a picture that no terminal shows. */
const PLAIN_COLUMNS = 160;

export interface ScreenOptions {
  readonly title: string;
  readonly isJson: boolean;
  /** Whether one picture is all. */
  readonly isOnce: boolean;
}

export function openScreen({ title, isJson, isOnce }: ScreenOptions): Screen {
  if (isJson) return { show: (picture, problem) => printJson({ ...picture, problem }), close: () => {} };
  if (isOnce || !process.stdout.isTTY) return plainScreen(title);
  return terminalScreen(title);
}

function plainScreen(title: string): Screen {
  const columns = (process.stdout.isTTY && process.stdout.columns) || PLAIN_COLUMNS;
  let isFirst = true;
  const show: Screen['show'] = (picture, problem) => {
    if (!isFirst) print('');
    isFirst = false;
    print(draw(picture, { title, problem, columns, rows: Infinity, hasColours: hasColours(process.stdout) }));
  };
  return { show, close: () => {} };
}

function terminalScreen(title: string): Screen {
  const { stdout } = process;
  const terminal = {
    write: (text: string) => stdout.write(text),
    // Some terminals do not know their size, and say 0.
    get columns() {
      return stdout.columns || 80;
    },
    get rows() {
      return stdout.rows || 24;
    },
  };
  const update = createLogUpdate(terminal as NodeJS.WriteStream);
  let last: Parameters<Screen['show']> | null = null;
  const redraw = () => {
    if (!last) return;
    const [picture, problem] = last;
    const size = { columns: terminal.columns, rows: terminal.rows - 1 }; // the cursor is on the line behind the picture
    update(draw(picture, { title: `${title}  q: quit`, problem, ...size, hasColours: hasColours(stdout) }));
  };
  stdout.on('resize', redraw);
  return {
    show: (...shown) => {
      last = shown;
      redraw();
    },
    close: () => {
      stdout.off('resize', redraw);
      update.done();
    },
  };
}
