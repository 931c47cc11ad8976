import { expect, test } from 'vitest';
import { drawSvg, plotsOf } from '../../../bench/support/plot.js';
import type { Report } from '../../../bench/support/report.js';

const REPORT: Report = {
  scenario: 'a-scenario',
  tables: [
    { title: 'not drawn', rows: [{ contender: 'docket', 'tasks/s': 1 }] },
    {
      title: 'threads & <rates>',
      rows: [
        { threads: 1, 'docket, lean': 10, BullMQ: null, note: 'few' },
        { threads: 2, 'docket, lean': 19, BullMQ: 4, note: 'more' },
      ],
      plot: { name: 'threads', y: 'tasks/s' },
    },
  ],
  verdicts: [],
  problems: [],
  distributions: [
    {
      title: 'add -> start, idle',
      unit: 'us',
      series: [
        {
          name: 'docket',
          points: [
            [0.5, 10],
            [0.9, 20],
            [1, 900],
          ],
        },
      ],
    },
  ],
};

test('a table is drawn when it asks for it: a line for each column of numbers, without the points that are missing', () => {
  const [plot, ...rest] = plotsOf(REPORT);
  expect(rest).toHaveLength(1);
  expect(plot).toMatchObject({
    name: 'threads',
    x: { label: 'threads' },
    y: { label: 'tasks/s' },
    series: [
      {
        name: 'docket, lean',
        points: [
          [1, 10],
          [2, 19],
        ],
      },
      { name: 'BullMQ', points: [[2, 4]] },
    ],
  });
});

test('a distribution is drawn by how rare the rest is, up to the last share below one', () => {
  const plot = plotsOf(REPORT)[1]!;
  expect(plot).toMatchObject({ name: 'add-start-idle', y: { scale: 'log' } });
  const [half, nine] = plot.series[0]!.points;
  expect(plot.series[0]!.points).toHaveLength(2);
  expect(half![0]).toBeCloseTo(0.301);
  expect(nine![0]).toBeCloseTo(1);
  expect(plot.x.format!(2)).toBe('99 %');
});

test.each(['light', 'dark'] as const)(
  'a plot is well-formed SVG with its title, axes and lines, for a %s page',
  (theme) => {
    const svgs = plotsOf(REPORT).map((plot) => drawSvg(plot, theme));
    for (const svg of svgs) expect(unclosedTags(svg)).toEqual([]);
    expect(svgs[0]).toMatch(/^<svg [^>]*xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
    for (const text of ['threads &amp; &lt;rates&gt;', 'tasks/s', 'docket, lean', 'BullMQ'])
      expect(svgs[0]).toContain(text);
    expect(svgs[0]!.match(/<path[^>]*stroke-width="2\.2"/g)).toHaveLength(2);
  },
);

test('the two themes differ in their colours only', () => {
  const [light, dark] = (['light', 'dark'] as const).map((theme) => drawSvg(plotsOf(REPORT)[0]!, theme));
  const withoutColours = (svg: string) =>
    svg
      .replace(/<style.*<\/style>/s, '')
      .replaceAll(/#[0-9a-f]{6}/gi, '')
      .replaceAll(/zr\d+-c(ls-)?\d+/g, ''); // numbers that zrender counts up in a process
  expect(light).not.toBe(dark);
  expect(withoutColours(light!)).toBe(withoutColours(dark!));
});

/** Returns what a reader of XML would stumble over: tags that are not closed, or closed in the wrong order. */
function unclosedTags(xml: string): string[] {
  const open: string[] = [];
  for (const [, close, name, selfClosing] of xml.matchAll(/<(\/?)([\w:]+)(?:\s+[\w:-]+="[^"<]*")*\s*(\/?)>/g)) {
    if (selfClosing) continue;
    if (!close) open.push(name!);
    else if (open.pop() !== name) return [`</${name}>`];
  }
  const rest = xml.replaceAll(/<\/?[\w:]+(?:\s+[\w:-]+="[^"<]*")*\s*\/?>/g, '').replaceAll(/<!\[CDATA\[.*?\]\]>/gs, '');
  return rest.includes('<') ? [...open, rest.slice(rest.indexOf('<'), 80)] : open;
}
