/* The page's colours as echarts' theme. Our tokens are light-dark() pairs, which only a real element resolves. */
export function colours(near: HTMLElement): (token: string) => string {
  return (token) => {
    const probe = document.createElement('span');
    probe.style.color = `var(--${token})`;
    near.append(probe);
    const { color } = getComputedStyle(probe);
    probe.remove();
    return color;
  };
}

export function chartTheme(near: HTMLElement): object {
  const colour = colours(near);
  const [text, quiet, line, solid] = [colour('text'), colour('text-quiet'), colour('line'), colour('panel-solid')];
  const fontFamily = getComputedStyle(near).fontFamily;
  const series = [1, 2, 3, 4, 5, 6].map((n) => colour(`series-${n}`));

  const axis = {
    axisLine: { lineStyle: { color: line } },
    axisTick: { lineStyle: { color: line } },
    axisLabel: { color: quiet, hideOverlap: true },
    nameTextStyle: { color: quiet },
    splitLine: { lineStyle: { color: line } },
  };
  return {
    color: series,
    backgroundColor: 'transparent',
    textStyle: { color: text, fontFamily },
    legend: { textStyle: { color: text }, pageTextStyle: { color: text }, inactiveColor: quiet },
    tooltip: { backgroundColor: solid, borderColor: line, textStyle: { color: text, fontFamily } },
    categoryAxis: { ...axis, splitLine: { show: false } },
    valueAxis: axis,
    logAxis: axis,
    timeAxis: axis,
    line: { symbol: 'circle', symbolSize: 6, lineStyle: { width: 2 } }, // its own is hollow, and white whatever the theme
    bar: { itemStyle: { borderRadius: [4, 4, 0, 0] } },
  };
}
