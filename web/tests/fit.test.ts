import { expect, test } from 'vitest';
import { fitted } from '../src/ui/chart/fit';

const sideways = {
  xAxis: { type: 'value' },
  yAxis: { type: 'category', inverse: true },
  series: [{ type: 'bar', itemStyle: { opacity: 0.7 } }, { type: 'line' }],
};

test('names at the left take a share of the width and are broken, not cut', () => {
  const label = (width: number) => (fitted(sideways, width)['yAxis'] as { axisLabel: { width: number } }).axisLabel;
  expect(label(300)).toMatchObject({ width: 90, overflow: 'break', lineHeight: 14 });
  expect(label(1200).width).toBe(200);
  expect(fitted(sideways, 300)['yAxis']).toMatchObject({ inverse: true });
});

test('bars that lie down are round at their far end, unless the drawing says otherwise', () => {
  const [bar, line] = fitted(sideways, 300)['series'] as object[];
  expect(bar).toMatchObject({ itemStyle: { borderRadius: [0, 4, 4, 0], opacity: 0.7 } });
  expect(line).toEqual({ type: 'line' });
  const square = { ...sideways, series: [{ type: 'bar', itemStyle: { borderRadius: 0 } }] };
  expect(fitted(square, 300)['series']).toMatchObject([{ itemStyle: { borderRadius: 0 } }]);
});

test('names below stand aslant where there is no room, and as the drawing says where it does', () => {
  const upright = { xAxis: { type: 'category' }, yAxis: { type: 'value' } };
  expect(fitted(upright, 300)['xAxis']).toMatchObject({ axisLabel: { rotate: 35 } });
  expect(fitted(upright, 900)).toBe(upright);
  const own = { xAxis: { type: 'category', axisLabel: { rotate: 30 } } };
  expect(fitted(own, 300)['xAxis']).toMatchObject({ axisLabel: { rotate: 30 } });
});

test('nothing is changed before the width is known', () => expect(fitted(sideways, 0)).toBe(sideways));
