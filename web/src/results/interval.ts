/* Where a change and its 95 % interval are drawn on a line around 0. Pure. */
export const MARGIN_PCT = 2; // a difference smaller than this is none, everywhere in LLMind

const ENDS = [5, 10, 20, 50, 100, 200, 500, 1000];

export interface Drawn {
  end: number; // the line goes from -end to +end, in per cent
  low: number; // 0 to 100, along the line
  high: number;
  at: number;
  marginLow: number;
  marginHigh: number;
  cutLow: boolean; // goes on beyond the line
  cutHigh: boolean;
}

export function drawn(change: number, ci95: readonly [number, number] | null): Drawn {
  const [low, high] = ci95 ?? [change, change];
  const most = Math.max(Math.abs(low), Math.abs(high), Math.abs(change));
  const end = ENDS.find((one) => one >= most * 1.05) ?? ENDS.at(-1) ?? 1000;
  const place = (pct: number) => 50 + (Math.max(-end, Math.min(end, pct)) / end) * 50;
  return {
    end,
    low: place(low),
    high: place(high),
    at: place(change),
    marginLow: place(-MARGIN_PCT),
    marginHigh: place(MARGIN_PCT),
    cutLow: low < -end,
    cutHigh: high > end,
  };
}
