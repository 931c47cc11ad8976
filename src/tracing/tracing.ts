/**
 * Makes spans through the API package of OpenTelemetry, when the process has that package and has registered a
 * provider. Until then nothing is loaded or made: the check reads one global.
 *
 * The context of the producer's span travels in the headers of the message, as `traceparent` and `tracestate` of the
 * W3C. They are written here and not by the propagator of the process, because a link needs no more. Baggage does not
 * travel: it would be stored with each execution and readable by everyone who can read Redis.
 */
import type { Exception, Link, Span, SpanContext, SpanOptions } from '@opentelemetry/api';
import { describe, isError } from '../wire/error-codec.js';

type Api = typeof import('@opentelemetry/api');
/** Attributes of a span. */
export type Attributes = Readonly<Record<string, string | number | boolean>>;

/** The global in which every copy of version 1 of the API keeps the registered providers. */
const REGISTRY = Symbol.for('opentelemetry.js.api.1');
const TRACER = 'docket';

/** Loads the API once a provider is registered, and has the tracer. */
export class Tracing {
  #tracer: Tracer | null = null;
  #loading: Promise<void> | undefined;

  /** The tracer; `null` when no provider is registered, or while the API is not loaded. */
  get tracer(): Tracer | null {
    return hasProvider() ? this.#tracer : null;
  }

  /** Whether a provider is registered and the API must still be loaded. */
  get mustLoad(): boolean {
    return this.#tracer === null && hasProvider();
  }

  /** Loads the API when a provider is registered. Never rejects: without the package there are no spans. */
  async load(): Promise<void> {
    if (!this.mustLoad) return;
    this.#loading ??= import('@opentelemetry/api').then(
      (api) => {
        this.#tracer = new Tracer(api);
      },
      () => undefined,
    );
    await this.#loading;
  }
}

/**
 * Makes spans around work. Samplers, processors and context managers are the user's code. Their errors are caught here,
 * so that the work begins exactly once and its outcome does not depend on them.
 */
export class Tracer {
  readonly #api: Api;

  constructor(api: Api) {
    this.#api = api;
  }

  /**
   * Runs `work` in a span that is a child of the active one. An error of `work` is recorded and thrown again.
   * @param work - gets the headers by which later spans can link to this one; `null` when the span is not recorded
   */
  async produce<T>(
    name: string,
    kind: 'producer' | 'client',
    attributes: Attributes,
    work: (headers: string | null, span: WorkSpan) => Promise<T>,
  ): Promise<T> {
    const { SpanKind } = this.#api;
    const spanKind = kind === 'producer' ? SpanKind.PRODUCER : SpanKind.CLIENT;
    return await this.#within(name, { kind: spanKind, attributes }, (span) => work(span.headers, span));
  }

  /**
   * Runs an attempt in a span. The span starts a trace of its own and links to the producer's span: an execution may
   * run days later, be retried, or be one of many runs, and a trace that waited for it would never end.
   */
  async consume<T>(
    name: string,
    attributes: Attributes,
    headers: string | null,
    work: (span: WorkSpan) => Promise<T>,
  ): Promise<T> {
    const producer = headers === null ? null : this.#contextOf(headers);
    const links: Link[] = producer ? [{ context: producer }] : [];
    return await this.#within(name, { kind: this.#api.SpanKind.CONSUMER, attributes, links, root: true }, work);
  }

  async #within<T>(name: string, options: SpanOptions, work: (span: WorkSpan) => Promise<T>): Promise<T> {
    const span = new WorkSpan(this.#api, name, options);
    const begin = async () => await work(span);
    let working: Promise<T> | undefined;
    span.activate(() => {
      working ??= begin();
    });
    try {
      return await (working ?? begin());
    } catch (error) {
      span.fail(error);
      throw error;
    } finally {
      span.end();
    }
  }

  /**
   * Reads the producer's context; `null` when the headers have no valid one, because the attempt must run in any case.
   */
  #contextOf(headers: string): SpanContext | null {
    const [, traceId = '', spanId = '', flags = ''] = TRACEPARENT.exec(headers) ?? [];
    const state = TRACESTATE.exec(headers)?.[1];
    const found: SpanContext = {
      traceId,
      spanId,
      traceFlags: Number.parseInt(flags, 16),
      isRemote: true,
      ...(state && { traceState: this.#api.createTraceState(state) }),
    };
    return this.#api.isSpanContextValid(found) ? found : null;
  }
}

/** The span of a piece of work. None of its functions throws. */
export class WorkSpan {
  readonly #api: Api;
  #span: Span;

  constructor(api: Api, name: string, options: SpanOptions) {
    this.#api = api;
    this.#span = api.trace.wrapSpanContext(api.INVALID_SPAN_CONTEXT);
    this.#call(() => {
      this.#span = api.trace.getTracer(TRACER).startSpan(name, options);
    });
  }

  /** The headers by which later spans can link to this one; `null` when the span is not recorded. */
  get headers(): string | null {
    let headers: string | null = null;
    this.#call(() => {
      headers = headersOf(this.#span.spanContext());
    });
    return headers;
  }

  /** Runs `begin` with the span active. When the context manager fails, `begin` may not run at all. */
  activate(begin: () => void): void {
    const { trace, context } = this.#api;
    this.#call(() => context.with(trace.setSpan(context.active(), this.#span), begin));
  }

  /** Adds attributes. */
  set(attributes: Attributes): void {
    this.#call(() => this.#span.setAttributes(attributes));
  }

  /** Records that the work failed. */
  fail(error: unknown): void {
    const { exception, message } = exceptionOf(error);
    this.#call(() => this.#span.recordException(exception));
    this.#call(() => this.#span.setStatus({ code: this.#api.SpanStatusCode.ERROR, message }));
  }

  end(): void {
    this.#call(() => this.#span.end());
  }

  /** Calls the tracer and catches its errors, which go to the diagnostic logger of the API. */
  #call(call: () => void): void {
    try {
      call();
    } catch (error) {
      try {
        this.#api.diag.error('docket: the tracer failed', error);
      } catch {
        // That logger is the user's code, too.
      }
    }
  }
}

/** Describes a thrown value, which may itself throw when it is read. */
function exceptionOf(thrown: unknown): { readonly exception: Exception; readonly message: string } {
  try {
    if (isError(thrown)) return { exception: thrown, message: thrown.message };
    const message = String(thrown);
    return { exception: message, message };
  } catch {
    const message = describe(thrown);
    return { exception: message, message };
  }
}

const TRACEPARENT = /^traceparent: [0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})/m;
const TRACESTATE = /^tracestate: (.+)$/m;
/**
 * Maximum length of a `tracestate`. The W3C asks to pass on at least 512; a longer one is left out, because it would be
 * stored with each execution.
 */
const LONGEST_STATE = 512;

/** Returns lines of `name: value`, as in HTTP; `null` for a span that is not recorded. */
function headersOf({ traceId, spanId, traceFlags, traceState }: SpanContext): string | null {
  if (/^0*$/.test(traceId)) return null;
  const parent = `traceparent: 00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
  const state = traceState?.serialize() ?? '';
  return state === '' || state.length > LONGEST_STATE ? parent : `${parent}\ntracestate: ${state}`;
}

function hasProvider(): boolean {
  const registered = (globalThis as Record<symbol, unknown>)[REGISTRY] as { trace?: unknown } | undefined;
  return registered?.trace !== undefined;
}
