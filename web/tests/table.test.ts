import { describe, expect, it } from 'vitest';
import { asMarkdown, sorted, type Column } from '../src/ui/table';

interface Row {
  name: string;
  speed: number | null;
}
const columns: Column<Row>[] = [
  { key: 'name', label: 'Model', value: (row) => row.name },
  { key: 'speed', label: 'Speed', value: (row) => row.speed, numeric: true },
];
const rows: Row[] = [
  { name: 'a|b', speed: 2 },
  { name: 'unknown', speed: null },
  { name: 'fast', speed: 10 },
];

describe('tables', () => {
  it('sort by number, the unknown last both ways', () => {
    const speeds = (descending: boolean) => sorted(rows, columns, { key: 'speed', descending }).map((row) => row.speed);
    expect(speeds(false)).toEqual([2, 10, null]);
    expect(speeds(true)).toEqual([10, 2, null]);
    expect(sorted(rows, columns, null)).toBe(rows);
  });

  it('are copied as Markdown that no cell can break', () => {
    expect(asMarkdown('Speeds', columns, rows, 'a machine')).toBe(
      '**Speeds**\n\n| Model | Speed |\n| --- | ---: |\n| a\\|b | 2 |\n| unknown | – |\n| fast | 10 |\n\na machine\n',
    );
  });
});
