/**
 * The body of `api/live` for one page: server-sent events, of which only the newest counts.
 *
 * Owns what a page can cost that reads slowly or not at all: the text it is reading and the newest event, and nothing after a
 * minute in which it took none. However the page goes away, the listener leaves.
 */

export interface StreamEvent {
  readonly event: 'live' | 'down';
  readonly data: string;
}

export type Listener = (event: StreamEvent) => void;

/** Proxies end connections on which nothing is sent. */
const COMMENT_EVERY_MS = 15_000;
const COMMENT = ': still here\n\n';
/** A page that has taken nothing since so many comments is not there any more. */
const MOST_MISSED = 4;

/**
 * Streams the events that a listener hears.
 * @param join - adds the listener, and returns the function that removes it
 * @param signal - aborts when the request does, for servers that then leave the body as it is
 */
export function eventStream(join: (listener: Listener) => () => void, signal: AbortSignal): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let pending: StreamEvent | null = null;
  let missed = 0;
  let end = () => {};
  return new ReadableStream({
    start(controller) {
      const isWanted = () => (controller.desiredSize ?? 0) > 0;
      const send = (text: string) => controller.enqueue(encoder.encode(text));
      const leave = join((event) => {
        if (isWanted()) send(textOf(event));
        else pending = event;
      });
      const timer = setInterval(() => {
        if (isWanted()) return send(COMMENT);
        missed += 1;
        if (missed < MOST_MISSED) return;
        end();
        controller.error(new Error('the page takes no events'));
      }, COMMENT_EVERY_MS);
      timer.unref();
      const onAbort = () => {
        end();
        controller.close();
      };
      end = () => {
        clearInterval(timer);
        signal.removeEventListener('abort', onAbort);
        leave();
      };
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort);
    },
    pull(controller) {
      missed = 0;
      if (pending === null) return;
      controller.enqueue(encoder.encode(textOf(pending)));
      pending = null;
    },
    cancel() {
      end();
    },
  });
}

/** JSON has no line breaks, so the data is one line. */
function textOf({ event, data }: StreamEvent): string {
  return `event: ${event}\ndata: ${data}\n\n`;
}
