/** A chart over time, drawn by uPlot in the colours of the theme. */
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { timeOfDayText } from '../lib/format.js';
import { useStore } from '../lib/store.js';
import { theme } from '../lib/theme.js';

export interface Series {
  readonly name: string;
  /** The name of a colour in the style sheet. */
  readonly colour: string;
  readonly values: readonly (number | null)[];
  readonly isFilled?: boolean;
}

interface Props {
  readonly label: string;
  /** Seconds. */
  readonly times: readonly number[];
  readonly series: readonly Series[];
  readonly format: (value: number) => string;
}

const HEIGHT = 160;

function timeText(seconds: number): string {
  return timeOfDayText(seconds * 1_000);
}

export function Chart({ label, times, series, format }: Props) {
  const frame = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const colours = useStore(theme);
  const names = series.map(({ name }) => name).join();
  useEffect(() => {
    const element = frame.current!;
    const made = new uPlot(optionsOf(series, format, element.clientWidth), dataOf(times, series), element);
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
    };
  }, [colours, names]);
  useEffect(() => plot.current?.setData(dataOf(times, series)), [times, series]);
  return (
    <figure class="chart">
      <figcaption>
        {label}
        <span class="legend">
          {series.map(({ name, colour }) => (
            <span key={name} class={`swatch swatch-${colour}`}>
              {name}
            </span>
          ))}
        </span>
      </figcaption>
      <div ref={frame} role="img" aria-label={`${label}: ${summaryOf(series, format)}`} />
    </figure>
  );
}

/** Tells what the chart shows to those who do not see it. */
function summaryOf(series: readonly Series[], format: (value: number) => string): string {
  return series
    .map(({ name, values }) => {
      const known = values.filter((value) => value !== null);
      return known.length === 0 ? `${name}: none` : `${name}: up to ${format(Math.max(...known))}`;
    })
    .join(', ');
}

function dataOf(times: readonly number[], series: readonly Series[]): uPlot.AlignedData {
  return [[...times], ...series.map(({ values }) => [...values])];
}

function isSinglePoint(plot: uPlot, at: number): boolean {
  return Array.from(plot.data[at]!).filter((value) => value !== null).length < 2;
}

function optionsOf(series: readonly Series[], format: (value: number) => string, width: number): uPlot.Options {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string) => style.getPropertyValue(`--${name}`).trim();
  const axis = {
    stroke: colour('muted'),
    grid: { stroke: colour('line'), width: 1 },
    ticks: { show: false },
    font: '11px system-ui, sans-serif',
  };
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    cursor: { y: false, points: { size: 6 } },
    padding: [8, 20, 0, 0],
    scales: { y: { range: (_, __, high) => [0, Math.max(high || 0, 1) * 1.1] } },
    axes: [
      { ...axis, grid: { show: false }, space: 60, size: 28, values: (_, times) => times.map(timeText) },
      { ...axis, size: 56, space: 36, values: (_, values) => values.map(format) },
    ],
    series: [
      {},
      ...series.map(({ name, colour: of, isFilled = false }) => ({
        label: name,
        stroke: colour(of),
        width: 1.75,
        // A line needs two points: a single one would not be seen.
        points: { show: isSinglePoint, size: 5 },
        ...(isFilled && { fill: `${colour(of)}22` }),
      })),
    ],
  };
}
