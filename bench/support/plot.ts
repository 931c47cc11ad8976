/** Draws the plots of a report as SVG, once for readers with a light background and once for those with a dark one. */
import { LineChart } from 'echarts/charts';
import { GridComponent, LegendComponent, TitleComponent } from 'echarts/components';
import { init, use } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';
import type { Distribution, Report, Scale, Table, TablePlot } from './report.js';

use([LineChart, GridComponent, LegendComponent, TitleComponent, SVGRenderer]);

/** A picture: lines through points. */
export interface Plot {
  /** The name of its file, without the ending. */
  readonly name: string;
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
}

interface Axis {
  readonly label: string;
  readonly scale: Scale;
  readonly format?: (value: number) => string;
}

interface Series {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export type Theme = keyof typeof THEMES;

const THEMES = {
  light: {
    text: '#1f2328',
    muted: '#59636e',
    grid: '#d1d9e0',
    lines: ['#0969da', '#bc4c00', '#1a7f37', '#8250df', '#bf3989', '#6e7781'],
  },
  dark: {
    text: '#f0f6fc',
    muted: '#9198a1',
    grid: '#3d444d',
    lines: ['#58a6ff', '#f0883e', '#3fb950', '#bc8cff', '#f778ba', '#8b949e'],
  },
} as const;
/** Lines differ in more than their colours. */
const SYMBOLS = ['circle', 'rect', 'triangle', 'diamond', 'emptyCircle', 'emptyRect'];
const SIZE = { width: 760, height: 420 };
/** A line with more points than this is drawn without marks. */
const MARKED_POINTS = 20;

export function plotsOf({ tables, distributions = [] }: Report): Plot[] {
  const drawn = tables.flatMap((table) => (table.plot ? [plotOfTable(table, table.plot)] : []));
  return [...drawn, ...distributions.map(plotOfDistribution)];
}

/** Renders a plot. The background is left out, so that the page's own shows. */
export function drawSvg({ title, x, y, series }: Plot, theme: Theme): string {
  const { text, muted, grid, lines } = THEMES[theme];
  const axis = ({ label, scale, format }: Axis) => ({
    type: scale === 'log' ? ('log' as const) : ('value' as const),
    name: label,
    nameLocation: 'middle' as const,
    nameTextStyle: { color: muted, fontSize: 13 },
    axisLabel: { color: muted, fontSize: 12, formatter: format ?? readable },
    axisLine: { show: true, lineStyle: { color: muted } },
    splitLine: { lineStyle: { color: grid } },
  });
  const chart = init(null, null, { renderer: 'svg', ssr: true, ...SIZE });
  chart.setOption({
    animation: false,
    color: [...lines],
    textStyle: { fontFamily: 'system-ui, sans-serif' },
    title: { text: title, left: 'center', top: 4, textStyle: { color: text, fontSize: 16, fontWeight: 600 } },
    legend: { bottom: 4, textStyle: { color: text, fontSize: 12 }, itemWidth: 22, itemGap: 32 },
    grid: { left: 84, right: 28, top: 44, bottom: 124 },
    xAxis: { ...axis(x), nameGap: 30, ...extent(series, 0, x.scale) },
    yAxis: { ...axis(y), nameGap: 64, ...(y.scale === 'linear' && { min: 0 }) },
    series: series.map(({ name, points }, i) => ({
      type: 'line' as const,
      name,
      data: points.map((point) => [...point]),
      symbol: SYMBOLS[i % SYMBOLS.length]!,
      symbolSize: 7,
      showSymbol: points.length <= MARKED_POINTS,
      lineStyle: { width: 2.2 },
    })),
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}

function plotOfTable({ title, rows }: Table, plot: TablePlot): Plot {
  const [first = '', ...others] = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const columns = plot.columns ?? others.filter((column) => rows.every((row) => typeof row[column] !== 'string'));
  const series = columns.map((name) => ({
    name,
    points: rows.flatMap((row) => {
      const [x, y] = [row[first], row[name]];
      return typeof x === 'number' && typeof y === 'number' ? [[x, y] as const] : [];
    }),
  }));
  return {
    name: plot.name,
    title,
    x: { label: first, scale: plot.xScale ?? 'linear' },
    y: { label: plot.y, scale: plot.yScale ?? 'linear' },
    series,
  };
}

/** Draws the shares by how rare the rest is, so that 99 % is as far from 90 % as 90 % is from 0 %: the tail is what matters. */
function plotOfDistribution({ title, unit, series }: Distribution): Plot {
  const rarity = (share: number) => -Math.log10(1 - share);
  return {
    name: title.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-'),
    title,
    x: { label: 'share of the calls', scale: 'linear', format: (value) => `${readable((1 - 10 ** -value) * 100)} %` },
    y: { label: `at most, in ${unit}`, scale: 'log' },
    series: series.map(({ name, points }) => ({
      name,
      points: points.filter(([share]) => share < 1).map(([share, value]) => [rarity(share), value] as const),
    })),
  };
}

/** A logarithmic axis would else begin at a power of ten, far from the first point. */
function extent(series: readonly Series[], index: 0 | 1, scale: Scale): { min?: number; max?: number } {
  const values = series.flatMap(({ points }) => points.map((point) => point[index]));
  return scale === 'log' ? { min: Math.min(...values), max: Math.max(...values) } : {};
}

function readable(value: number): string {
  return value.toLocaleString('en-US', { maximumSignificantDigits: 4 });
}
