/* Reads the colours out of tokens.css and computes what WCAG 2 asks for: 4.5:1 for text on every ground it stands on,
 * 3:1 for the edges of controls and the series of charts. Translucent grounds lie over what is really below them. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

type Rgb = [number, number, number];
const css = readFileSync('src/ui/tokens.css', 'utf8').split('@media')[0] ?? '';
const pairs = new Map(
  [...css.matchAll(/--([\w-]+): light-dark\(((?:[^(),]|\([^)]*\))+), ((?:[^(),]|\([^)]*\))+)\)/g)].map(
    ([, name = '', light = '', dark = '']) => [name, { light, dark }],
  ),
);

function over(token: string, theme: 'light' | 'dark', ground: Rgb): Rgb {
  const text = pairs.get(token)?.[theme] ?? '';
  if (text.startsWith('#')) return [1, 3, 5].map((i) => parseInt(text.slice(i, i + 2), 16)) as Rgb;
  const [r = 0, g = 0, b = 0, alpha = 1] = (text.match(/[\d.]+/g) ?? []).map(Number);
  return [r, g, b].map((part, i) => part * alpha + (ground[i] ?? 0) * (1 - alpha)) as Rgb;
}

function luminance(rgb: Rgb): number {
  const [r = 0, g = 0, b = 0] = rgb.map((part) => {
    const x = part / 255;
    return x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a: Rgb, b: Rgb): number {
  const [high = 0, low = 0] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (high + 0.05) / (low + 0.05);
}

const BLACK: Rgb = [0, 0, 0];

describe.each(['dark', 'light'] as const)('%s theme', (theme) => {
  const ground = over('ground', theme, BLACK);
  const glowing = over('ground-glow-a', theme, ground);
  const panel = over('panel', theme, glowing);
  const solid = over('panel-solid', theme, BLACK);
  const grounds = [ground, glowing, panel, solid].flatMap((one) => [
    one,
    over('raised', theme, one),
    over('well', theme, one),
  ]);

  it.each(['text', 'text-quiet', 'accent-text', 'high', 'medium', 'low', 'good'])('%s is readable', (token) => {
    for (const one of grounds) expect(contrast(over(token, theme, one), one)).toBeGreaterThanOrEqual(4.5);
  });

  it.each([
    ['high', 'high-soft'],
    ['medium', 'medium-soft'],
    ['low', 'low-soft'],
    ['good', 'good-soft'],
    ['accent-text', 'accent-soft'],
    ['text', 'high-soft'],
    ['text-quiet', 'raised-hover'],
    ['accent-text', 'raised-hover'],
  ])('%s is readable on %s', (token, soft) => {
    for (const one of grounds) {
      const below = over(soft, theme, one);
      expect(contrast(over(token, theme, below), below)).toBeGreaterThanOrEqual(4.5);
    }
  });

  it.each([
    ['on-accent', 'accent-fill'],
    ['on-accent', 'accent-fill-hover'],
    ['on-danger', 'danger-fill'],
    ['on-danger', 'danger-fill-hover'],
  ])('%s is readable on %s', (token, fill) => {
    expect(contrast(over(token, theme, BLACK), over(fill, theme, BLACK))).toBeGreaterThanOrEqual(4.5);
  });

  it.each(['control-edge', 'accent', 'series-1', 'series-2', 'series-3', 'series-4', 'series-5', 'series-6'])(
    '%s can be seen',
    (token) => {
      for (const one of [ground, panel, solid])
        expect(contrast(over(token, theme, one), one)).toBeGreaterThanOrEqual(3);
    },
  );
});
