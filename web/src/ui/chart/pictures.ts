/* A chart as a file, on an opaque ground so that it can be read anywhere. */
import type { ECharts, EChartsCoreOption } from 'echarts/core';
import type { init } from './echarts';
import { saveFile } from '../file';

export function savePng(chart: ECharts, name: string, ground: string): void {
  const url = chart.getDataURL({ type: 'png', pixelRatio: 2, backgroundColor: ground });
  const bytes = Uint8Array.from(atob(url.slice(url.indexOf(',') + 1)), (letter) => letter.charCodeAt(0));
  saveFile(new Blob([bytes], { type: 'image/png' }), `${name}.png`);
}

/* Drawn again without a page, as on a server: the canvas on screen holds no shapes any more. */
export function saveSvg(
  make: typeof init,
  option: EChartsCoreOption,
  theme: object,
  size: { width: number; height: number },
  name: string,
  ground: string,
): void {
  const chart = make(null, theme, { renderer: 'svg', ssr: true, ...size });
  chart.setOption({ ...option, animation: false, backgroundColor: ground });
  const text = chart.renderToSVGString();
  chart.dispose();
  saveFile(new Blob([text], { type: 'image/svg+xml' }), `${name}.svg`);
}
