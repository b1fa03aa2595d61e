/* Which stored runs a visitor is shown first. Pure. */
import type { Schemas } from '../../../api/client';

export type Row = Schemas['RunRow'];

export interface Newest {
  shown: Row | null; // the newest with something to show
  lost: Row | null; // the newest of all, when it has nothing
}

export const goesOn = (row: Row): boolean => row.status === 'running' || row.status === 'waiting';

/* rows: of one kind, newest first. A comparison has no figure of its own in its row: its success says enough. */
export function newestOf(rows: readonly Row[]): Newest {
  const ended = rows.filter((row) => !goesOn(row));
  const shown = ended.find((row) => row.status === 'success' || row.tokens_per_second != null) ?? null;
  const first = ended[0] ?? null;
  return { shown, lost: first !== shown ? first : null };
}
