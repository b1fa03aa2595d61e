/* The chart library, cut to what we draw. Chart.svelte imports this file when the first chart is shown: it is a chunk
 * of its own. Never import echarts elsewhere, except for types. */
import { BarChart, BoxplotChart, CustomChart, HeatmapChart, LineChart, ScatterChart } from 'echarts/charts';
import {
  AriaComponent,
  DataZoomComponent,
  GridComponent,
  LegendComponent,
  MarkAreaComponent,
  MarkLineComponent,
  MarkPointComponent,
  TooltipComponent,
  VisualMapComponent,
} from 'echarts/components';
import { init, use } from 'echarts/core';
import { CanvasRenderer, SVGRenderer } from 'echarts/renderers';

use([BarChart, BoxplotChart, CustomChart, HeatmapChart, LineChart, ScatterChart]);
use([AriaComponent, DataZoomComponent, GridComponent, LegendComponent, TooltipComponent, VisualMapComponent]);
use([MarkAreaComponent, MarkLineComponent, MarkPointComponent]);
use([CanvasRenderer, SVGRenderer]);

export { init };
