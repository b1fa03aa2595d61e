/* What a drawing needs to know of the width it gets. Pure. */
import type { EChartsCoreOption } from 'echarts/core';

type Part = Record<string, unknown>;

const NAMES_SHARE = 0.3; // of a sideways chart, at most this for the names at its left
const NAMES_PX = 200;
const NARROW_PX = 480;

const isCategory = (axis: unknown): axis is Part => (axis as Part | undefined)?.['type'] === 'category';

/* Names that are longer than their place are broken into lines; bars that lie down are round at their far end; names
 * below a chart too narrow for them stand aslant. */
export function fitted(option: EChartsCoreOption, width: number): EChartsCoreOption {
  if (!width) return option;
  const { xAxis, yAxis, series } = option as { xAxis?: unknown; yAxis?: unknown; series?: readonly Part[] };
  if (isCategory(yAxis)) {
    const axisLabel = { width: Math.min(NAMES_PX, Math.round(NAMES_SHARE * width)), overflow: 'break', lineHeight: 14 };
    return {
      ...option,
      yAxis: { ...yAxis, axisLabel: { ...(yAxis['axisLabel'] as Part | undefined), ...axisLabel, hideOverlap: false } },
      series: series?.map((one) =>
        one['type'] === 'bar'
          ? { ...one, itemStyle: { borderRadius: [0, 4, 4, 0], ...(one['itemStyle'] as Part) } }
          : one,
      ),
    };
  }
  if (isCategory(xAxis) && width < NARROW_PX) {
    const own = xAxis['axisLabel'] as Part | undefined;
    return {
      ...option,
      xAxis: { ...xAxis, axisLabel: { interval: 0, rotate: 35, width: 90, overflow: 'truncate', ...own } },
    };
  }
  return option;
}
