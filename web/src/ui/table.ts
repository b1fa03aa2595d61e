/* What DataTable shows, apart from how: sorting, and the same table as Markdown. Pure. */
import type { Figure } from '../api/format';

export type CellValue = string | number | null | undefined;

export interface Column<Row> {
  key: string;
  label: string;
  value: (row: Row) => CellValue; // what it is sorted by
  text?: (row: Row) => string; // what is shown and copied; by default the value
  figure?: (row: Row) => Figure; // instead of text: its dash tells why
  numeric?: boolean; // set to the right
  sortable?: boolean;
  definition?: string;
  control?: boolean; // holds buttons, so it is not copied
}

export interface Sort {
  key: string;
  descending: boolean;
}

export function textOf<Row>(column: Column<Row>, row: Row): string {
  if (column.text) return column.text(row);
  if (column.figure) return column.figure(row).text;
  const value = column.value(row);
  return value == null ? '–' : String(value);
}

/* Stable; what is not known comes last, whichever way. */
export function sorted<Row>(rows: readonly Row[], columns: readonly Column<Row>[], sort: Sort | null): readonly Row[] {
  const column = sort && columns.find((one) => one.key === sort.key);
  if (!column) return rows;
  const way = sort.descending ? -1 : 1;
  return [...rows].sort((a, b) => {
    const [x, y] = [column.value(a), column.value(b)];
    if (x == null || y == null) return x == null ? (y == null ? 0 : 1) : -1;
    if (typeof x === 'number' && typeof y === 'number') return way * (x - y);
    return way * String(x).localeCompare(String(y), 'en-GB', { numeric: true });
  });
}

/* `caption` above, `footnote` (the machine's line) below. */
export function asMarkdown<Row>(
  caption: string,
  all: readonly Column<Row>[],
  rows: readonly Row[],
  footnote = '',
): string {
  const columns = all.filter((column) => !column.control);
  const cell = (text: string) => text.replace(/\\/g, '\\\\').replace(/\|/g, '\\|').replace(/\s+/g, ' ').trim();
  const line = (cells: string[]) => `| ${cells.join(' | ')} |`;
  return [
    `**${cell(caption)}**`,
    '',
    line(columns.map((column) => cell(column.label))),
    line(columns.map((column) => (column.numeric ? '---:' : '---'))),
    ...rows.map((row) => line(columns.map((column) => cell(textOf(column, row))))),
    ...(footnote ? ['', footnote] : []),
    '',
  ].join('\n');
}
